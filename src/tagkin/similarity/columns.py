"""What a search needs of every image: ids, tags, folders, dates and groups, as arrays."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, to_ids
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules

_COLUMNS = ["id", "files", "tags", "group"]


@dataclass(frozen=True)
class Incidence:
    """Which images have which of some names, stored from both sides.

    Attributes:
        names: The names, that of the most images first.
        row_ends: int64 of shape (images + 1,): the names of image i are
            ``columns[row_ends[i]:row_ends[i + 1]]``.
        columns: int32, places of names, ascending within an image.
        name_ends: int64 of shape (names + 1,): the images of name n are
            ``places[name_ends[n]:name_ends[n + 1]]``.
        places: int32, places of images, ascending within a name.
    """

    names: tuple[str, ...]
    row_ends: NDArray[np.int64]
    columns: NDArray[np.int32]
    name_ends: NDArray[np.int64]
    places: NDArray[np.int32]

    @classmethod
    def of(
        cls, names: Sequence[str], rows: NDArray[np.int64], columns: NDArray[np.int64], images: int
    ) -> "Incidence":
        """Sorts pairs of images and names, of which some may be there twice.

        Args:
            names: Names in any order; those that no pair has are dropped.
            rows: Places of images, int64 of shape (pairs,).
            columns: Places in ``names``, int64 of shape (pairs,).
            images: Number of images.
        """
        pairs = np.unique(rows * max(1, len(names)) + columns)
        rows, columns = np.divmod(pairs, max(1, len(names)))
        counts = np.bincount(columns, minlength=len(names))
        kept = [n for n in range(len(names)) if counts[n]]
        kept.sort(key=lambda n: (-counts[n], names[n]))
        renamed = np.zeros(len(names), np.int64)
        renamed[kept] = np.arange(len(kept))
        columns = renamed[columns]
        by_row = np.lexsort((columns, rows))
        by_name = np.lexsort((rows, columns))
        return cls(
            names=tuple(names[n] for n in kept),
            row_ends=_ends(rows, images),
            columns=columns[by_row].astype(np.int32),
            name_ends=_ends(columns, len(kept)),
            places=rows[by_name].astype(np.int32),
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def at(self, row: int) -> tuple[str, ...]:
        """Returns the names of an image."""
        found = self.columns[self.row_ends[row] : self.row_ends[row + 1]]
        return tuple(self.names[column] for column in found.tolist())

    def places_of(self, column: int) -> NDArray[np.int64]:
        """Returns the places of the images with a name, ascending."""
        found = self.places[self.name_ends[column] : self.name_ends[column + 1]]
        return found.astype(np.int64)


@dataclass(frozen=True)
class Columns:
    """All images that have a file, by id.

    Attributes:
        ids: Type S32, ascending.
        tags: As the rules and the edits see them.
        folders: The folders that their files are in.
        modified: When the newest of its files was last changed, nanoseconds since 1970, int64.
        groups: Number of the group of near-duplicates, int32; each image that is in none has a
            number of its own.
        places: The rows of the table of images, int64.
    """

    ids: NDArray[np.bytes_]
    tags: Incidence
    folders: Incidence
    modified: NDArray[np.int64]
    groups: NDArray[np.int32]
    places: NDArray[np.int64]


def read_columns(table: Snapshot | None, rules: TagRules, edits: EditedTags) -> Columns:
    """Reads the columns of a table of images in one pass.

    Args:
        table: The table; None if there is none yet.
        rules: How raw tags are read.
        edits: What was changed on single images.

    Raises:
        LibraryError: The table can't be read.
    """
    reader = _Reader(rules, edits)
    if table is not None:
        for batch in table.batches(_COLUMNS):
            reader.add(batch)
    return reader.columns()


class _Reader:
    """Collects columns in the order of storage, which `columns` sorts by id."""

    def __init__(self, rules: TagRules, edits: EditedTags) -> None:
        self._rules = rules
        self._edits = edits
        self._ids: list[NDArray[np.bytes_]] = []
        self._tags = _Pairs()
        self._folders = _Pairs()
        self._modified: list[NDArray[np.int64]] = []
        self._groups = _Names()
        self._group_numbers: list[NDArray[np.int64]] = []
        self._places: list[NDArray[np.int64]] = []
        self._rows = 0
        self._seen = 0

    def add(self, batch: pa.RecordBatch) -> None:
        has_file = pc.greater(pc.list_value_length(batch.column("files")), 0)
        kept = batch.filter(has_file)
        self._places.append(np.flatnonzero(has_file.to_numpy(zero_copy_only=False)) + self._seen)
        self._seen += batch.num_rows
        if not kept.num_rows:
            return
        ids = to_ids(kept.column("id"))
        self._ids.append(ids)
        self._add_tags(ids, kept.column("tags"))
        self._add_files(kept.column("files"))
        groups = kept.column("group").to_pylist()
        own = (name if name else image for name, image in zip(groups, ids.tolist(), strict=True))
        self._group_numbers.append(np.array([self._groups.number(name) for name in own]))
        self._rows += kept.num_rows

    def _add_tags(self, ids: NDArray[np.bytes_], column: pa.ListArray) -> None:
        # Each distinct raw tag of the batch is resolved once, then all of its images at a time.
        encoded = column.flatten().dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(ids)), pc.list_value_length(column).to_numpy())
        edited = self._edited(ids)
        plain = ~np.isin(rows, edited)
        resolved = [self._rules.wanted([raw]) for raw in encoded.dictionary.to_pylist()]
        sizes = np.array([len(names) for names in resolved], np.int64)
        flat = np.array([self._tags.number(tag) for names in resolved for tag in names], np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        rows, codes = rows[plain], codes[plain]
        for nth in range(int(sizes.max(initial=0))):  # a raw tag may imply others
            some = sizes[codes] > nth
            self._tags.add(rows[some] + self._rows, flat[starts[codes[some]] + nth])
        for place in edited.tolist():
            image = ids[place].decode("ascii")
            tags = self._rules.wanted(self._edits.apply(image, column[place].as_py()))
            numbers = np.array([self._tags.number(tag) for tag in tags], np.int64)
            self._tags.add(np.full(len(numbers), place + self._rows), numbers)

    def _edited(self, ids: NDArray[np.bytes_]) -> NDArray[np.int64]:
        if not len(self._edits):
            return np.empty(0, np.int64)
        names = (image.decode("ascii") for image in ids.tolist())
        return np.array([n for n, name in enumerate(names) if name in self._edits], np.int64)

    def _add_files(self, column: pa.ListArray) -> None:
        sizes = pc.list_value_length(column).to_numpy()
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        files = column.flatten()
        modified = files.field("mtime_ns").to_numpy(zero_copy_only=False)
        self._modified.append(np.maximum.reduceat(modified, starts))
        folders = (os.path.dirname(p) for p in files.field("path").to_pylist())  # noqa: PTH120
        numbers = np.array([self._folders.number(os.fsdecode(name)) for name in folders], np.int64)
        self._folders.add(np.repeat(np.arange(len(sizes)), sizes) + self._rows, numbers)

    def columns(self) -> Columns:
        ids = np.concatenate(self._ids) if self._ids else np.empty(0, ID_TYPE)
        order = np.argsort(ids, kind="stable")
        place = np.empty(len(ids), np.int64)
        place[order] = np.arange(len(ids))
        modified = _joined(self._modified)
        groups = _joined(self._group_numbers)
        return Columns(
            ids=ids[order],
            tags=self._tags.incidence(place),
            folders=self._folders.incidence(place),
            modified=modified[order],
            groups=groups[order].astype(np.int32),
            places=_joined(self._places)[order],
        )


class _Names:
    """Numbers names in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str | bytes, int] = {}

    def number(self, name: str | bytes) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


class _Pairs(_Names):
    """Pairs of images and names."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[NDArray[np.int64]] = []
        self._columns: list[NDArray[np.int64]] = []

    def add(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        self._rows.append(rows)
        self._columns.append(columns)

    def incidence(self, place: NDArray[np.int64]) -> Incidence:
        names = [str(name) for name in self.numbers]
        return Incidence.of(names, place[_joined(self._rows)], _joined(self._columns), len(place))


def _joined(parts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    listed = list(parts)
    return np.concatenate(listed).astype(np.int64) if listed else np.empty(0, np.int64)


def _ends(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))]).astype(np.int64)
