"""The small files of a library on object storage, as they are worked with: in a folder here."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagkin.errors import LibraryError
from tagkin.files import atomic_file
from tagkin.locking import one_at_a_time
from tagkin.remote_paths import RemotePath
from tagkin.settings import load_settings
from tagkin.store_objects import (
    ChangedMeanwhileError,
    delete_object,
    list_objects,
    read_object,
    write_object,
)

_VERSIONS = ".versions.json"


class WorkingCopy:
    """A folder in the cache that follows a library on a store; it can be deleted at any time.

    Args:
        library: Where the library is.
    """

    def __init__(self, library: RemotePath) -> None:
        self._library = library
        digest = hashlib.blake2b(str(library).encode(), digest_size=8).hexdigest()
        self.path = load_settings().cache_dir / "libraries" / f"{library.name}-{digest}"
        self._busy = threading.Lock()

    def fetch(self, folder: str, last: str) -> Path:
        """Brings a folder up to date and returns it.

        Args:
            folder: Its name in the library.
            last: Name of the files that say that what lies beside them is whole. They come last,
                and go first.

        Raises:
            LibraryError: The store can't be read, or the cache can't be written.
        """
        target = self.path / folder
        with self._busy, _told(self._library):
            target.mkdir(parents=True, exist_ok=True)
            known = self._versions(target)
            there = self._whole(folder, last)
            for name in sorted(known.keys() - there.keys(), key=lambda n: not n.endswith(last)):
                (target / name).unlink(missing_ok=True)
                del known[name]
            for path in target.glob("[!.]*/"):  # `check` would take what is left for damage
                with suppress(OSError):  # something is in it
                    path.rmdir()
            for name in sorted(there, key=lambda n: (n.endswith(last), n)):
                if known.get(name) != there[name] or not (target / name).is_file():
                    content, version = read_object(_below(self._library / folder, name))
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    with atomic_file(target / name) as file:
                        file.write_bytes(content)
                    known[name] = version
                    self._note(target, known)
            self._note(target, known)
            for name in self._unpublished(target, known, last):
                # Who may only read goes on with what is here.
                with suppress(ChangedMeanwhileError, LibraryError, OSError):
                    self._publish(folder, name, last)
        return target

    def publish(self, folder: str, name: str, last: str) -> None:
        """Stores a new folder with all its files, or none that anybody sees.

        Args:
            folder: Of the library.
            name: What is new in it.
            last: As for `fetch`.

        Raises:
            LibraryError: Another process has stored one of that name, or the store can't be
                written; then the next `fetch` on this machine does it.
        """
        with self._busy, _told(self._library):
            self._publish(folder, name, last)

    def _publish(self, folder: str, name: str, last: str) -> None:
        target, place = self.path / folder, self._library / folder / name
        with one_at_a_time(self._library, folder):
            there = list_objects(place)
            if last not in there:
                for key in there:  # of a process that was killed in this
                    delete_object(_below(place, key))
                there = {}
            elif any(not _same(target / name / key, _below(place, key)) for key in there):
                raise ChangedMeanwhileError(str(place))
            known = self._versions(target)
            files = [path for path in (target / name).rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: (path.name == last, path)):
                key = path.relative_to(target / name).as_posix()
                known[f"{name}/{key}"] = there.get(key) or write_object(
                    _below(place, key),
                    path.read_bytes() if path.name == last else path,
                    new=path.name == last,
                )
            self._note(target, known)

    def _unpublished(self, target: Path, known: dict[str, str], last: str) -> list[str]:
        """Returns what is whole here and was never on the store, because that was cut short."""
        whole = [path.parent.name for path in target.glob(f"*/{last}")]
        return sorted(n for n in whole if not n.startswith(".") and f"{n}/{last}" not in known)

    def _whole(self, folder: str, last: str) -> dict[str, str]:
        """Returns the versions of what is there, without folders that are being written."""
        there = list_objects(self._library / folder)
        whole = {name.rpartition("/")[0] for name in there if name.rpartition("/")[2] == last}
        return {n: version for n, version in there.items() if n.partition("/")[0] in whole}

    def _versions(self, target: Path) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((target / _VERSIONS).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def _note(self, target: Path, versions: dict[str, str]) -> None:
        with atomic_file(target / _VERSIONS) as file:
            file.write_text(json.dumps(versions), "utf-8")


@contextmanager
def _told(library: RemotePath) -> Iterator[None]:
    """Turns what went wrong with the store or the cache into an error of the library."""
    try:
        yield
    except ChangedMeanwhileError as error:
        raise LibraryError(
            f"another process has stored {error} meanwhile; nothing of it was changed: run the "
            "command again"
        ) from error
    except OSError as error:
        raise LibraryError(f"{library}: {error.strerror or error}") from error


def _same(here: Path, there: RemotePath) -> bool:
    return here.is_file() and here.read_bytes() == read_object(there)[0]


def _below(folder: RemotePath, key: str) -> RemotePath:
    found = folder
    for part in key.split("/"):
        found = found / part
    return found
