"""``library.json``: what a library remembers besides its tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tagkin.errors import LibraryError
from tagkin.locking import LOCK_PREFIX
from tagkin.remote_paths import RemotePath
from tagkin.store_objects import ChangedMeanwhileError, read_object, write_file, write_object

SCHEMA_VERSION = 4

_UPGRADABLE = (1, 2, 3)  # earlier schemas, which are brought up to date when a library is opened

STATE_FILE = "library.json"

#: The folder of what can't be read any more.
DAMAGED = "damaged"

#: What the name of a table begins with that a repair has made and is about to put into its place.
MENDED = ".mended-"


@dataclass(frozen=True)
class LibraryState:
    """The content of ``library.json``.

    Attributes:
        active_backbone: The backbone last embedded, as ``BackboneConfig.to_dict`` gives it.
        remembered: Settings given as options to ``prepare``, which hold for later commands.
        prepared: Whether the last ``prepare`` came to its end.
        sample: Ids of the images by which a precision is judged, once some were needed.
        grouped_within: The ``duplicate_distance`` of the groups that ``prepare`` made last.
    """

    active_backbone: Mapping[str, Any] | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    prepared: bool = False
    sample: Sequence[str] = field(default_factory=list)
    grouped_within: int | None = None


def read_state(library: Path) -> tuple[LibraryState, bool]:
    """Reads the state of the library in a folder.

    Returns:
        The state, and whether the library is of today's schema.

    Raises:
        LibraryError: There is none, it is damaged, or a newer Tagkin made it.
    """
    return _parsed(library, _read(library)[0])


def _read(library: Path) -> tuple[bytes, str]:
    """Returns the content of the file, and on a store its version."""
    file = library / STATE_FILE
    try:
        if isinstance(file, RemotePath):
            return read_object(file)
        return file.read_bytes(), ""
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise LibraryError(
            f"there is no Tagkin library in {library}: make one with 'tagkin prepare SOURCE "
            f"--library {library}', or name another with --library or TAGKIN_LIBRARY"
        ) from error
    except OSError as error:
        if isinstance(file, RemotePath):
            raise LibraryError(f"{library}: {error.strerror or error}") from error
        raise _damaged(file, error) from error


def _parsed(library: Path, text: bytes) -> tuple[LibraryState, bool]:
    file = library / STATE_FILE
    try:
        content = json.loads(text.decode("utf-8"))
        version = content.pop("schema_version")
        readable = version in (*_UPGRADABLE, SCHEMA_VERSION)
        known = LibraryState(**content) if readable else None
        if known and not isinstance(known.remembered, dict):
            raise TypeError("'remembered' is no object")
        if known and not isinstance(known.sample, list):
            raise TypeError("'sample' is no list")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(file, error) from error
    if known is None:
        raise LibraryError(
            f"{library} has library schema {version}, and this Tagkin reads schema "
            f"{SCHEMA_VERSION}: install the version of Tagkin that made it, or prepare the "
            "source into a new folder"
        )
    return known, version == SCHEMA_VERSION


def _damaged(file: Path, error: Exception) -> LibraryError:
    return LibraryError(
        f"{file} is damaged ({error}): 'tagkin check --repair' makes it again; or delete that one "
        "file and run 'tagkin prepare SOURCE' again; images, vectors, decisions and taggers stay"
    )


def write_state(library: Path, state: LibraryState) -> None:
    """Writes the state of the library in a folder, in one step.

    Raises:
        LibraryError: The folder can't be written.
    """
    file = library / STATE_FILE
    try:
        write_file(file, _text(state))
    except OSError as error:
        raise LibraryError(f"can't write {library}: {error}") from error


def change_state_on_store(library: RemotePath, changes: Mapping[str, Any]) -> LibraryState:
    """Changes entries of the state of a library on a store, and leaves the others as they are.

    A change of another process in between is read, and kept.

    Raises:
        LibraryError: The library can't be read or written.
    """
    while True:
        content, version = _read(library)
        state = replace(_parsed(library, content)[0], **changes)
        try:
            write_object(library / STATE_FILE, _text(state), version=version)
            return state
        except ChangedMeanwhileError:
            continue
        except OSError as error:
            raise LibraryError(f"can't write {library}: {error.strerror or error}") from error


def _text(state: LibraryState) -> bytes:
    content = {"schema_version": SCHEMA_VERSION, **state.__dict__}
    return (json.dumps(content, indent=2) + "\n").encode()


def is_ours(path: Path) -> bool:
    """Returns whether a library has a file or folder of that name, or a killed write left it."""
    folders = {"taggers", "backbones", "fine-tuning", "indexes", DAMAGED}
    # Locks, and what a killed process had begun to write.
    begun = (".library.json", ".proposals.json", ".decisions.", ".edits.", ".images.", ".problems.")
    files = ("proposals.json", ".vectors-", LOCK_PREFIX, MENDED, *begun)
    return path.suffix == ".lance" or path.name in folders or path.name.startswith(files)
