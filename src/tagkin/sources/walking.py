"""Walks a folder of images; what lies beside an image says its tags."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagkin.errors import SourceError
from tagkin.images import IMAGE_EXTENSIONS
from tagkin.parallel import map_ahead
from tagkin.remote_files import is_folder, list_folder
from tagkin.remote_files import read as read_remote
from tagkin.remote_paths import RemotePath
from tagkin.sources.options import SourceOptions
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.text import clean_tags

MAX_SIDECAR_BYTES = 2**20

_REMOTE_THREADS = 16  # that read what lies beside the images on a store

_Identity = tuple[int, int] | RemotePath  # device and inode of a folder, or its address


class Beside:
    """The files beside the images of one folder.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        self._names: dict[str, str] = {}
        for name in names:
            stem, extension = os.path.splitext(name)  # noqa: PTH122, a million times
            self._names[stem + extension.lower()] = name

    def find(self, image: str, extension: str) -> list[Path]:
        """Returns the files ``img.EXT`` and ``img.jpg.EXT`` that are there for ``img.jpg``.

        Args:
            image: Name of the image.
            extension: In lower case, with its dot.
        """
        keys = (os.path.splitext(image)[0] + extension, image + extension)  # noqa: PTH122
        return [self.folder / self._names[key] for key in keys if key in self._names]


#: Reads the tags of an image, given its name and the files beside it. What is wrong with one of
#: them comes out in between, as a `SourceProblem`.
TagReader = Callable[[str, Beside], Iterator[str | SourceProblem]]


@dataclass(frozen=True)
class FolderSource:
    """Reads a folder and its sub-folders in the order of their names.

    Hidden files and folders are left out, and so is everything without an image's extension.
    Symbolic links are followed, each folder being read once.

    Attributes:
        path: The folder.
        name: The convention in one word.
        where: Where the tags are, for the owner.
        read_tags: Reads the tags of an image.
        folder_tags: Whether the names of the folders below ``path`` are tags as well.
    """

    path: Path
    name: str
    where: str
    read_tags: TagReader
    folder_tags: bool = False

    @property
    def description(self) -> str:
        """How the source was understood."""
        more = " and in the names of folders" if self.folder_tags else ""
        return f"folder {self.path}, tags {self.where}{more}"

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Walks the folder."""
        return self._walk(self._record)

    def count(self) -> Iterator[None]:
        """Walks the folder without opening a file."""
        return (None for _ in self._walk(lambda name, at: iter([ImageRecord(at.folder / name)])))

    def _record(self, image: str, beside: Beside) -> Iterator[ImageRecord | SourceProblem]:
        tags: dict[str, None] = {}
        if self.folder_tags:
            tags |= dict.fromkeys(_names_of(beside.folder.relative_to(self.path)))
        for read in self.read_tags(image, beside):
            if isinstance(read, SourceProblem):
                yield read
            else:
                tags[read] = None
        yield ImageRecord(beside.folder / image, tuple(tags))

    def _walk(self, read: "_ReadImage") -> Iterator[ImageRecord | SourceProblem]:
        """Uses a stack instead of recursion, since folders can be nested deeply."""
        seen: set[_Identity] = set()
        above: list[_Identity] = []
        stack: list[Iterator[Path | ImageRecord | SourceProblem]] = [iter([self.path])]
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
                        entries = list_folder(item)
                        seen.add(identity)
                        above.append(identity)
                        stack.append(_read_folder(item, entries, read))
                except OSError as error:
                    yield SourceProblem(item, f"folder can't be read: {error.strerror or error}")
            else:
                yield item


_ReadImage = Callable[[str, Beside], Iterator[ImageRecord | SourceProblem]]


def open_walk(
    path: Path, options: SourceOptions, name: str, where: str, read_tags: TagReader
) -> FolderSource:
    """Opens a folder of images.

    Raises:
        SourceError: The folder can't be read.
    """
    if not is_folder(path):
        raise SourceError(f"{path} is a file: --format {name} reads a folder of images")
    try:
        list_folder(path)
        return FolderSource(path.absolute(), name, where, read_tags, options.folder_tags)
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error


def is_image(name: str) -> bool:
    """Returns whether a name has the extension of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS  # noqa: PTH122, a million times


def read_sidecar(path: Path) -> bytes:
    """Reads a small file beside an image.

    Raises:
        ValueError: It isn't a regular file, too large for a sidecar, or can't be read.
    """
    try:
        if isinstance(path, RemotePath):
            data = read_remote(path, MAX_SIDECAR_BYTES + 1)
        else:
            if not stat.S_ISREG(path.stat().st_mode):
                raise ValueError("not a regular file")
            with path.open("rb") as file:
                data = file.read(MAX_SIDECAR_BYTES + 1)
    except OSError as error:
        raise ValueError(f"tags can't be read: {error.strerror or error}") from error
    if len(data) > MAX_SIDECAR_BYTES:
        raise ValueError(f"more than {MAX_SIDECAR_BYTES:,} bytes: not a tag file")
    return data


def _identity(folder: Path) -> _Identity:
    if isinstance(folder, RemotePath):
        return folder
    status = folder.stat()
    return status.st_dev, status.st_ino


def _read_folder(
    folder: Path, entries: list[tuple[str, bool]], read: _ReadImage
) -> Iterator[Path | ImageRecord | SourceProblem]:
    beside = Beside(folder, [name for name, below in entries if not below])
    images = (name for name, below in entries if not below and is_image(name))
    items: Iterator[Iterable[ImageRecord | SourceProblem]]
    if isinstance(folder, RemotePath):  # where each file beside an image is one more request
        found = map_ahead(lambda name: list(read(name, beside)), images, _REMOTE_THREADS)
        items = (of_image for _, of_image in found)
    else:
        items = (read(name, beside) for name in images)
    for name, below in entries:
        if below:
            yield folder / name
        elif is_image(name):
            yield from next(items)


def _names_of(folder: Path) -> Iterator[str]:
    """Yields the names of folders as tags; bytes that are not UTF-8 become U+FFFD."""
    names = (os.fsencode(part).decode("utf-8", "replace") for part in folder.parts)
    return iter(clean_tags(names))
