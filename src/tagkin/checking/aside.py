"""Where a repair puts what can't be read: nothing that can't be made again is deleted."""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from tagkin.errors import LibraryError
from tagkin.library_state import DAMAGED


def move_aside(library: Path, path: Path) -> Path:
    """Moves a file or folder of a library into its folder ``damaged``, under a free name.

    Returns:
        Its new path.

    Raises:
        LibraryError: It can't be moved.
    """
    try:
        target = _free_name(library, path.name)
        path.rename(target)
    except OSError as error:
        raise LibraryError(
            f"can't move {path} to {library / DAMAGED}: {error}; check the permissions of that "
            "folder"
        ) from error
    return target


def copy_aside(library: Path, name: str, files: Iterable[Path]) -> Path:
    """Copies files into a folder of their own in the library's folder ``damaged``.

    Args:
        library: Its folder.
        name: What the new folder's name begins with.
        files: Those that can't be read are left out.

    Returns:
        The new folder.

    Raises:
        LibraryError: There is no room, or the library can't be written.
    """
    try:
        folder = _free_name(library, name)
        folder.mkdir()
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(file, folder / file.name)
    except OSError as error:
        raise LibraryError(
            f"can't keep a copy of the damaged files in {library / DAMAGED}: {error}; nothing was "
            "repaired there. Free some space, then run 'tagkin check --repair' again"
        ) from error
    return folder


def _free_name(library: Path, name: str) -> Path:
    folder = library / DAMAGED
    folder.mkdir(exist_ok=True)
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"
