"""``library.json``: what a library remembers besides its tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagkin.errors import LibraryError
from tagkin.files import atomic_file
from tagkin.locking import LOCK_PREFIX

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
    """

    active_backbone: Mapping[str, Any] | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    prepared: bool = False
    sample: Sequence[str] = field(default_factory=list)


def read_state(library: Path) -> tuple[LibraryState, bool]:
    """Reads the state of the library in a folder.

    Returns:
        The state, and whether the library is of today's schema.

    Raises:
        LibraryError: There is none, it is damaged, or a newer Tagkin made it.
    """
    file = library / STATE_FILE
    if not file.is_file():
        raise LibraryError(
            f"there is no Tagkin library in {library}: make one with 'tagkin prepare SOURCE "
            f"--library {library}', or name another with --library or TAGKIN_LIBRARY"
        )
    try:
        content = json.loads(file.read_text("utf-8"))
        version = content.pop("schema_version")
        readable = version in (*_UPGRADABLE, SCHEMA_VERSION)
        known = LibraryState(**content) if readable else None
        if known and not isinstance(known.remembered, dict):
            raise TypeError("'remembered' is no object")
        if known and not isinstance(known.sample, list):
            raise TypeError("'sample' is no list")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LibraryError(
            f"{file} is damaged ({error}): 'tagkin check --repair' makes it again; or delete that "
            "one file and run 'tagkin prepare SOURCE' again; images, vectors, decisions and "
            "taggers stay"
        ) from error
    if known is None:
        raise LibraryError(
            f"{library} has library schema {version}, and this Tagkin reads schema "
            f"{SCHEMA_VERSION}: install the version of Tagkin that made it, or prepare the "
            "source into a new folder"
        )
    return known, version == SCHEMA_VERSION


def write_state(library: Path, state: LibraryState) -> None:
    """Writes the state of the library in a folder, in one step.

    Raises:
        LibraryError: The folder can't be written.
    """
    content = {"schema_version": SCHEMA_VERSION, **state.__dict__}
    try:
        with atomic_file(library / STATE_FILE) as file:
            file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise LibraryError(f"can't write {library}: {error}") from error


def is_ours(path: Path) -> bool:
    """Returns whether a library has a file or folder of that name, or a killed write left it."""
    folders = {"taggers", "backbones", "fine-tuning", "indexes", DAMAGED}
    # Locks, and what a killed process had begun to write.
    begun = (".library.json", ".proposals.json", ".decisions.", ".edits.", ".images.", ".problems.")
    files = ("proposals.json", ".vectors-", LOCK_PREFIX, MENDED, *begun)
    return path.suffix == ".lance" or path.name in folders or path.name.startswith(files)
