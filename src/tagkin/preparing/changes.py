"""What a run has to change in the table of images, gathered and stored in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tagkin.known_files import KnownFiles, path_number
from tagkin.library import Library
from tagkin.records import ID_TYPE, ImageFile, ImageRow

_LOOKED_UP = 2000  # at a time


@dataclass
class _Change:
    """What is new of one image.

    Attributes:
        row: The image, without files; None if the library has it for sure.
        files: Its files as they are now by path; None for one that has other content now.
        adds_up: Those of them whose tags come to those that an earlier row of the source named.
    """

    row: ImageRow | None = None
    files: dict[Path, ImageFile | None] = field(default_factory=dict)
    adds_up: set[Path] = field(default_factory=set)


class Changes:
    """Changes of images that are gathered until `store` is called.

    Args:
        library: Where they are stored.
        known: The files that it had at first.
    """

    def __init__(self, library: Library, known: KnownFiles) -> None:
        self._library = library
        self._known = known
        self._waiting: dict[str, _Change] = {}
        self._stored: set[str] = set()  # images that are new
        self._before: dict[int, tuple[Any, ...]] = {}  # by the number of the path
        self._updated: set[int] = set()

    def __len__(self) -> int:
        """Returns the number of images that have changes."""
        return len(self._waiting)

    @property
    def updated(self) -> int:
        """How many files that the library had are others now, as far as is stored."""
        return len(self._updated)

    def put(
        self, image: str, place: int, file: ImageFile, row: ImageRow | None, *, adds_up: bool
    ) -> None:
        """Gives an image a file, in the place of what it had at that path.

        Args:
            image: Its id.
            place: Of the file in `KnownFiles`.
            file: The file.
            row: The image without files, if it may be new.
            adds_up: Whether the source named the file before, whose tags then stay.
        """
        if place >= 0 and (before := self._known.image(place)) != image:
            self._updated.add(path_number(file.path))
            self._waiting.setdefault(before, _Change()).files[file.path] = None
        change = self._waiting.setdefault(image, _Change())
        change.row = change.row or row
        if adds_up:
            if earlier := change.files.get(file.path):
                file = _add_up(earlier, file)
            elif file.path not in change.files:
                change.adds_up.add(file.path)
        change.files[file.path] = file

    def store(self) -> None:
        """Stores all changes in one step.

        Raises:
            LibraryError: The library can't be read or written.
        """
        here = [i for i in self._waiting if i in self._stored or self._known.has_image(i)]
        stored = {row.id: row for row in look_up(self._library, here)}
        rows = []
        for image, change in self._waiting.items():
            row = stored.get(image, change.row)
            if row is None:
                continue
            files = {file.path: file for file in row.files}
            for path, file in change.files.items():
                before = files.pop(path, None)
                if file is not None:
                    if before and path in change.adds_up:
                        file = _add_up(before, file)
                    files[path] = file
                    self._compare(image, before, file)
            ordered = tuple(sorted(files.values(), key=lambda file: file.path))
            if image not in stored:
                self._stored.add(image)
            elif ordered == row.files:
                continue
            rows.append(replace(row, files=ordered))
        self._library.upsert_images(rows)
        self._waiting.clear()

    def _compare(self, image: str, before: ImageFile | None, file: ImageFile) -> None:
        """Notes whether a file that the library had is another one now."""
        place = self._known.find(file.path)
        if place < 0 or self._known.image(place) != image or before is None:
            return
        number = path_number(file.path)
        if self._before.setdefault(number, _content(before)) != _content(file):
            self._updated.add(number)
        else:
            self._updated.discard(number)


def look_up(library: Library, images: Sequence[str]) -> list[ImageRow]:
    """Returns some images of a library, by their ids."""
    ids = np.sort(np.array(images, ID_TYPE))
    parts = (ids[start : start + _LOOKED_UP] for start in range(0, len(ids), _LOOKED_UP))
    return [row for part in parts for row in library.iter_images(part)]


def _content(file: ImageFile) -> tuple[Any, ...]:
    return file.tags, file.weights, file.bytes, file.mtime_ns


def _add_up(earlier: ImageFile, later: ImageFile) -> ImageFile:
    """Returns a file with the tags that two rows of a table name, each with its greatest weight."""
    greatest = earlier.weighted_tags
    for tag, weight in later.weighted_tags.items():
        greatest[tag] = max(weight, greatest.get(tag, 0.0))
    return later.with_tags(greatest)
