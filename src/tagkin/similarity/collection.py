"""The images of a library in compact columns, to choose from by tags, folders and dates.

An image takes some 60 bytes and 4 for each of its tags, so that ten million fit into a gigabyte or
two; what is shown of an image is looked up on disk.
"""

import contextlib
import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError, UnknownTagError
from tagkin.lance_snapshot import Snapshot
from tagkin.library import Library
from tagkin.records import IMAGES, ImageRow, places_in, to_image_rows
from tagkin.remote_paths import as_path
from tagkin.settings import Settings
from tagkin.similarity.columns import Columns, read_columns
from tagkin.similarity.query import DateTerm, Query, TagTerm
from tagkin.spellings import near_spellings
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules

_EMPTY = np.empty(0, np.int64)


_OF_PICTURE = ["id", "files", "width", "height"]


@dataclass(frozen=True)
class Picture:
    """An image as lists show it: its id, its files, and its size in pixels, upright."""

    id: str
    paths: tuple[Path, ...]
    width: int
    height: int


@dataclass(frozen=True)
class Collection:
    """The images of a library that have a file, by id.

    Positions are places in this order, from 0.

    Attributes:
        library: The library.
        rules: How raw tags are read.
        columns: What is kept of each image.
        table: The table that they were read from; None if there was none.
        state: What the library's tables were when this was read; see `is_current`.
    """

    library: Library
    rules: TagRules
    columns: Columns
    table: Snapshot | None = None
    state: tuple[int, ...] = ()

    @classmethod
    def open(cls, library: Library, settings: Settings) -> "Collection":
        """Reads the columns of a library.

        Raises:
            LibraryError: The library can't be read.
        """
        state = library.versions()
        rules = TagRules.from_settings(settings, library.decisions())
        edits = EditedTags(library.tag_edits(), rules)
        table = library.image_table()
        return cls(library, rules, read_columns(table, rules, edits), table, state)

    def is_current(self, library: Library) -> bool:
        """Returns whether neither images nor decisions nor edits of tags have changed since."""
        return library.versions() == self.state

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.columns.ids)

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """The ids, type S32 of shape (images,), ascending."""
        return self.columns.ids

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags as the rules see them, the most frequent first."""
        return self.columns.tags.names

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Images with each tag, int64 of shape (tags,)."""
        return np.diff(self.columns.tags.name_ends)

    def position(self, image: str) -> int:
        """Returns the place of an image.

        Raises:
            LibraryError: The library has no such image with a file.
        """
        position = self.find(image)
        if position is None:
            raise LibraryError(f"the library has no image {image}")
        return position

    def find(self, image: str) -> int | None:
        """Returns the place of an image; None if the library has no such image with a file."""
        wanted = np.array([image.encode("ascii", "replace")])  # not S32, which would cut it short
        position = int(places_in(wanted, self.ids)[0])
        return None if position < 0 else position

    def tags_at(self, position: int) -> tuple[str, ...]:
        """Returns the tags of an image as the rules see them, the most frequent first."""
        return self.columns.tags.at(position)

    def with_tag(self, tag: str) -> NDArray[np.int64]:
        """Returns the positions of the images with a tag, ascending.

        Raises:
            UnknownTagError: No image carries it; the message names the nearest spellings.
        """
        return self.columns.tags.places_of(self._column(tag))

    def canonical(self, tag: str) -> str:
        """Returns the name under which the collection has a tag.

        Raises:
            UnknownTagError: No image carries it; the message names the nearest spellings.
        """
        return self.tags[self._column(tag)]

    def complete(self, prefix: str, limit: int = 10) -> list[tuple[str, int]]:
        """Returns the tags that begin so, the most frequent first, with their images."""
        columns = sorted(self._beginning_with(prefix))[:limit]
        return [(self.tags[column], int(self.counts[column])) for column in columns]

    def select(self, query: Query) -> NDArray[np.int64]:
        """Returns the positions of the images that a query wants, ascending.

        Raises:
            UnknownTagError: The query asks for a tag that no image carries.
        """
        chosen = np.ones(len(self), bool)
        for term in query.all_of:
            chosen &= self._carrying([term])
        if query.any_of:
            chosen &= self._carrying(query.any_of)
        for term in query.none_of:
            chosen &= ~self._carrying([term], needed=False)
        for folder in query.folders:
            chosen &= self._in_folder(folder)
        for folder in query.not_folders:
            chosen &= ~self._in_folder(folder)
        for date in query.dates:
            chosen &= _holds(date, self.columns.modified)
        return np.flatnonzero(chosen)

    def newest_first(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns positions ordered by when their files were last changed, then by id."""
        order = np.lexsort((positions, -self.columns.modified[positions]))
        return positions[order]

    def rows(self, positions: Sequence[int] | NDArray[np.int64]) -> list[ImageRow]:
        """Returns what the library stores of some images, looked up on disk, in that order.

        Images that were deleted meanwhile may be left out.

        Raises:
            LibraryError: The library can't be read.
        """
        wanted = np.asarray(positions, np.int64)
        if not len(wanted) or self.table is None:
            return []
        with contextlib.suppress(LibraryError):  # that version may have been deleted meanwhile
            found = self.table.take(self.columns.places[wanted], IMAGES.names)
            return [row for batch in found.to_batches() for row in to_image_rows(batch)]
        ids = self.ids[wanted]
        by_id = {row.id: row for row in self.library.iter_images(np.unique(ids))}
        names = [image.decode("ascii") for image in ids.tolist()]
        return [by_id[name] for name in names if name in by_id]

    def pictures(self, positions: Sequence[int] | NDArray[np.int64]) -> list[Picture]:
        """Returns what a list shows of some images, in that order, in half the time of `rows`.

        Images that were deleted meanwhile may be left out.

        Raises:
            LibraryError: The library can't be read.
        """
        wanted = np.asarray(positions, np.int64)
        if len(wanted) and self.table is not None:
            with contextlib.suppress(LibraryError):
                found = self.table.take(self.columns.places[wanted], _OF_PICTURE)
                return [_picture(row) for row in found.to_pylist()]
        return [Picture(r.id, r.paths, r.width, r.height) for r in self.rows(wanted)]

    # -----------------------------------------------------------------------------------------

    def _column(self, tag: str) -> int:
        for spelling in (tag, tag.replace("_", " "), tag.replace(" ", "_")):
            name = self.rules.resolve(spelling)
            if name in self.columns.tags.index:
                return self.columns.tags.index[name]
        name = self.rules.resolve(tag)
        raise UnknownTagError(f"no image carries the tag {tag!r}{near_spellings(name, self.tags)}")

    def _beginning_with(self, prefix: str) -> list[int]:
        names, columns = self._sorted_tags
        columns_found: dict[int, None] = {}
        for spelling in (prefix, prefix.replace("_", " "), prefix.replace(" ", "_")):
            start = self.rules.fold(spelling)
            first = bisect_left(names, start)
            last = bisect_left(names, start + "\U0010ffff")
            columns_found |= dict.fromkeys(columns[first:last])
        return list(columns_found)

    @cached_property
    def _sorted_tags(self) -> tuple[list[str], list[int]]:
        columns = sorted(range(len(self.tags)), key=self.tags.__getitem__)
        return [self.tags[column] for column in columns], columns

    def _carrying(self, terms: Sequence[TagTerm], *, needed: bool = True) -> NDArray[np.bool_]:
        """Returns for each image whether it has one of some tags.

        Args:
            terms: The tags.
            needed: Whether it is an error if none of the tags exists.
        """
        columns: list[int] = []
        unknown: UnknownTagError | None = None
        for term in terms:
            if term.prefix:
                columns += self._beginning_with(term.tag)
                continue
            try:
                columns.append(self._column(term.tag))
            except UnknownTagError as error:
                unknown = error
        if needed and unknown and not columns:
            raise unknown
        carrying = np.zeros(len(self), bool)
        for column in columns:
            carrying[self.columns.tags.places_of(column)] = True
        return carrying

    def _in_folder(self, wanted: str) -> NDArray[np.bool_]:
        folders = self.columns.folders
        parts = Path(wanted).parts
        found = np.zeros(len(self), bool)
        for column, name in enumerate(folders.names):
            if _has_run(Path(name).parts, parts):
                found[folders.places_of(column)] = True
        return found


def _picture(row: dict[str, Any]) -> Picture:
    paths = tuple(as_path(os.fsdecode(file["path"])) for file in row["files"])
    return Picture(row["id"], paths, row["width"], row["height"])


def _has_run(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Returns whether some folders one below the other are among those of a path."""
    size = len(wanted)
    return bool(size) and any(
        parts[at : at + size] == wanted for at in range(len(parts) - size + 1)
    )


def _holds(date: DateTerm, modified: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns for each image whether it was changed at such a time.

    Args:
        date: The condition.
        modified: Nanoseconds since 1970, int64 of shape (images,).
    """
    start, end = (int(t.timestamp()) * 10**9 for t in (date.start, date.end))
    result: NDArray[np.bool_]
    match date.comparison:
        case "<":
            result = modified < start
        case "<=":
            result = modified < end
        case ">":
            result = modified >= end
        case ">=":
            result = modified >= start
        case _:
            result = (modified >= start) & (modified < end)
    return result
