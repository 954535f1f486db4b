"""Where a library lies, here or on object storage, and the files in it that are no tables."""

from pathlib import Path

from tagkin.errors import LibraryError
from tagkin.library_state import STATE_FILE, is_ours
from tagkin.remote_paths import RemotePath
from tagkin.store_objects import names_below, read_object, write_file
from tagkin.working_copy import WorkingCopy

_TAGGERS, _TAGGER_FILE = "taggers", "tagger.json"  # which says that a tagger is whole
_VECTORS, _TABLE = "vectors-", ".lance"


class LibraryFolder:
    """The folder of a library.

    On object storage, what isn't a table is worked with in a copy in the cache: taggers follow the
    store, and search indexes and what a fine-tuning needs are of this machine alone.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy = WorkingCopy(path) if isinstance(path, RemotePath) else None

    @property
    def is_remote(self) -> bool:
        """Whether it is on object storage."""
        return self._copy is not None

    @property
    def working_path(self) -> Path:
        """A folder on this machine: the library's own, or its working copy in the cache."""
        return self._copy.path if self._copy else self.path

    @property
    def taggers_path(self) -> Path:
        """The folder of the saved taggers, on this machine and as they are now."""
        return self._copy.fetch(_TAGGERS, _TAGGER_FILE) if self._copy else self.path / _TAGGERS

    def publish_tagger(self, folder: Path) -> None:
        """Lets other machines see a tagger that was saved in `taggers_path`.

        Raises:
            LibraryError: Another process has stored one of that name meanwhile, or the store
                can't be written.
        """
        if self._copy:
            self._copy.publish(_TAGGERS, folder.name, _TAGGER_FILE)

    @property
    def backbones_path(self) -> Path:
        """The folder of the weights of fine-tuned backbones, on this machine."""
        return self.working_path / "backbones"

    @property
    def fine_tuning_path(self) -> Path:
        """The folder of what a fine-tuning that isn't finished has stored, on this machine."""
        return self.working_path / "fine-tuning"

    def read_file(self, name: str) -> bytes:
        """Returns the content of a small file of the library.

        Raises:
            OSError: It isn't there (FileNotFoundError), or can't be read.
        """
        path = self.path / name
        return read_object(path)[0] if isinstance(path, RemotePath) else path.read_bytes()

    def write_file(self, name: str, content: bytes) -> None:
        """Writes a small file of the library in one step.

        Raises:
            OSError: It can't be written.
        """
        write_file(self.path / name, content)

    def table_names(self) -> list[str]:
        """Returns the names of the folders of all tables."""
        return sorted(name for name in _names(self.path) if name.endswith(_TABLE))

    def fingerprints(self) -> list[str]:
        """Returns the fingerprints of the backbones of which there are vectors."""
        tables = [name for name in self.table_names() if name.startswith(_VECTORS)]
        return [name.removeprefix(_VECTORS).removesuffix(_TABLE) for name in tables]

    def index_path(self, fingerprint: str) -> Path:
        """Returns the folder of the search index of a backbone's vectors, of this machine."""
        return self.working_path / "indexes" / fingerprint


def vector_table_name(fingerprint: str) -> str:
    """Returns the name of the table of a backbone's vectors."""
    return f"{_VECTORS}{fingerprint}{_TABLE}"


def has_library(path: Path) -> bool:
    """Returns whether there is a library in a folder.

    Raises:
        LibraryError: The store can't be asked.
    """
    if isinstance(path, RemotePath):
        return STATE_FILE in _names(path)
    return (path / STATE_FILE).exists()


def make_folder(path: Path) -> None:
    """Makes the folder for a new library.

    Raises:
        LibraryError: It holds other things, or is none.
        OSError: It can't be made.
    """
    if isinstance(path, RemotePath) and not path.key:
        raise LibraryError(f"{path} is a whole bucket: name a folder in it, as in {path}/library")
    if not isinstance(path, RemotePath) and path.exists() and not path.is_dir():
        raise LibraryError(f"{path} is a file: name a folder for the library")
    # A killed first run or a deleted library.json leaves only our own folders.
    strangers = [name for name in _names(path) if not is_ours(Path(name))]
    if strangers:
        raise LibraryError(
            f"{path} is not a Tagkin library and is not empty (it holds {strangers[0]!r}): name "
            "a new folder with --library"
        )
    if not isinstance(path, RemotePath):
        path.mkdir(parents=True, exist_ok=True)


def _names(path: Path) -> list[str]:
    if not isinstance(path, RemotePath):
        return [found.name for found in path.iterdir()] if path.exists() else []
    if path.is_on_web:
        raise LibraryError(f"{path} is on a web server, which can't hold a library")
    try:
        return names_below(path)
    except OSError as error:
        raise LibraryError(f"{path}: {error.strerror or error}") from error
