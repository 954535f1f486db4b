"""A folder of images whose tags lie beside them in text files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagkin.errors import SourceError
from tagkin.images import IMAGE_EXTENSIONS
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.text import decode_text, split_sidecar

SIDECAR_EXTENSION = ".txt"
MAX_SIDECAR_BYTES = 2**20

_Identity = tuple[int, int]  # device and inode of a folder


@dataclass(frozen=True)
class FolderSource:
    """Reads a folder and its sub-folders in the order of their names.

    The tags of ``cat.jpg`` are those of ``cat.txt`` and of ``cat.jpg.txt``; see `split_sidecar`.
    Hidden files and folders are left out, and so is everything without an image's extension.
    Symbolic links are followed, each folder being read once.
    """

    root: Path

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "folder"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return f"folder {self.root}, tags in .txt files beside the images"

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Walks the folder; a stack instead of recursion, since folders can be nested deeply."""
        seen: set[_Identity] = set()
        above: list[_Identity] = []
        stack: list[Iterator[Path | ImageRecord | SourceProblem]] = [iter([self.root])]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
                if above:
                    above.pop()
            elif isinstance(item, Path):
                try:
                    identity = _identity(item)
                    if identity in above:
                        yield SourceProblem(item, "a link to a folder it is in: not followed")
                    elif identity not in seen:
                        entries = _list_folder(item)
                        seen.add(identity)
                        above.append(identity)
                        stack.append(_read_folder(item, entries))
                except OSError as error:
                    yield SourceProblem(item, f"folder can't be read: {error.strerror or error}")
            else:
                yield item


def open_folder(path: Path) -> FolderSource:
    """Opens a folder of images.

    Raises:
        SourceError: The folder can't be read.
    """
    try:
        with os.scandir(path):
            return FolderSource(path.absolute())
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _list_folder(folder: Path) -> list[tuple[str, bool]]:
    """The visible names in a folder, sorted, each with whether it is a folder."""
    with os.scandir(folder) as entries:
        return sorted(
            (entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")
        )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _read_folder(
    folder: Path, entries: list[tuple[str, bool]]
) -> Iterator[Path | ImageRecord | SourceProblem]:
    sidecars = {
        name[: -len(SIDECAR_EXTENSION)]: name
        for name, is_folder in entries
        if not is_folder and name.lower().endswith(SIDECAR_EXTENSION)
    }
    for name, is_folder in entries:
        stem, extension = os.path.splitext(name)  # noqa: PTH122, a million times
        if is_folder:
            yield folder / name
        elif extension.lower() in IMAGE_EXTENSIONS:
            tags: dict[str, None] = {}
            for key in (stem, name):
                if key in sidecars:
                    read = _read_sidecar(folder / sidecars[key])
                    if isinstance(read, SourceProblem):
                        yield read
                    else:
                        tags |= dict.fromkeys(read)
            yield ImageRecord(folder / name, tuple(tags))


def _read_sidecar(path: Path) -> tuple[str, ...] | SourceProblem:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return SourceProblem(path, "not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_SIDECAR_BYTES + 1)
        if len(data) > MAX_SIDECAR_BYTES:
            return SourceProblem(path, f"more than {MAX_SIDECAR_BYTES:,} bytes: not a tag file")
        return split_sidecar(decode_text(data))
    except OSError as error:
        return SourceProblem(path, f"tags can't be read: {error.strerror or error}")
    except ValueError as error:  # UnicodeError is one
        return SourceProblem(path, f"tags can't be read: {error}")
