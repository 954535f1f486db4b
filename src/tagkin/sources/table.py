"""Tables of images and tags: what their columns, cells and paths mean, whatever the format."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from tagkin.errors import SourceError
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.text import detect_separator
from tagkin.sources.weights import Weight, weigh
from tagkin.splits import Split

# Earlier names win in a table that has several of them.
FILE_COLUMNS = ("file", "filename", "file_name", "path", "image")
TAG_COLUMNS = ("tags", "tag", "labels", "keywords")
WEIGHT_COLUMNS = ("weights", "weight", "confidence")
SPLIT_COLUMNS = ("split",)

_SPLITS: dict[str, Split] = {
    "train": "train",
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    "test": "test",
}

_SAMPLE_ROWS = 1000  # from which the separator of the tags is detected


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the columns are in a table; None if there is none.

    Attributes:
        file: Of the path.
        tags: Of the tags.
        weights: Of the tags' weights.
        split: Of the split.
    """

    file: int
    tags: int
    weights: int | None = None
    split: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table before it's made sense of.

    Attributes:
        place: Where it is, for the owner: ``line 3`` or ``row 3``.
        file: The cell with the path.
        tags: The cell with the tags, or a list of tags.
        weights: The cell with the weights of the tags, or a list of weights.
        split: The cell with the split.
        problem: Why the row can't be read; the rest is then without meaning.
    """

    place: str
    file: str = ""
    tags: str | Sequence[str] = ()
    weights: str | Sequence[Weight] = ()
    split: str = ""
    problem: str = ""


class Rows(Protocol):
    """The rows of one table file, readable any number of times."""

    @property
    def name(self) -> str:
        """The format in one word."""

    @property
    def columns(self) -> Columns:
        """Its columns."""

    def __iter__(self) -> Iterator[Row]:
        """Reads the file."""


@dataclass(frozen=True)
class TableSource:
    """A table with a row per image, or several, whose tags then add up.

    Attributes:
        path: The table; relative paths in it start from its folder.
        rows: Its content.
        separator: What separates the tags within a cell; "" if each cell is one tag.
        allow_outside: Whether images may lie outside of the table's folder. A table from elsewhere
            could otherwise have any file of this machine read.
    """

    path: Path
    rows: Rows
    separator: str
    allow_outside: bool

    @property
    def name(self) -> str:
        """The convention in one word."""
        return self.rows.name

    @property
    def description(self) -> str:
        """How the source was understood."""
        how = f"separated by {self.separator!r}" if self.separator else "one to a cell or in lists"
        columns = self.rows.columns
        more = "" if columns.weights is None else ", with weights"
        more += "" if columns.split is None else ", with splits"
        return f"{self.name} table {self.path}, tags {how}{more}"

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Reads the table; a bad row is a `SourceProblem` that names its place."""
        folder = os.path.realpath(self.path.parent)
        for row in self.rows:
            problem = row.problem or self._problem_with(row.file, folder)
            yield (
                SourceProblem(self.path, f"{row.place}: {problem}")
                if problem
                else (self._read(row))
            )

    def _read(self, row: Row) -> ImageRecord | SourceProblem:
        try:
            tags, weights = weigh(row.tags, row.weights, self.separator)
            split = _read_split(row.split)
        except ValueError as error:
            return SourceProblem(self.path, f"{row.place}: {error}")
        return ImageRecord(_without_dots(self.path.parent / row.file), tags, weights, split)

    def _problem_with(self, file: str, folder: str) -> str:
        if not file.strip():
            return "the file column is empty"
        if "\0" in file:
            return "a path can't hold a NUL character"
        if not (self.allow_outside or _is_inside(self.path.parent / file, folder)):
            shown = file if len(file) <= 200 else file[:200] + "..."
            return f"{shown} is outside of the table's folder; --allow-outside reads it anyway"
        return ""


def open_rows(path: Path, rows: Rows, separator: str | None, allow_outside: bool) -> TableSource:
    """Makes a source of a table's rows, detecting the separator of tags if it isn't given.

    Raises:
        SourceError: The table can't be read.
    """
    if separator is None:
        sample = islice(rows, _SAMPLE_ROWS)
        separator = detect_separator([row.tags for row in sample if isinstance(row.tags, str)])
    return TableSource(path.absolute(), rows, separator, allow_outside)


def find_columns(columns: Sequence[str]) -> Columns | None:
    """Where the columns are that mean something; None if the path or the tags are missing."""
    positions = {name.strip().lower(): at for at, name in reversed(list(enumerate(columns)))}
    file, tags, weights, split = (
        next((positions[name] for name in names if name in positions), None)
        for names in (FILE_COLUMNS, TAG_COLUMNS, WEIGHT_COLUMNS, SPLIT_COLUMNS)
    )
    return None if file is None or tags is None else Columns(file, tags, weights, split)


def missing_columns(path: Path, columns: Sequence[str]) -> SourceError:
    """The error for a table without the two columns."""
    found = ", ".join(repr(name[:40]) for name in columns[:20]) or "none"
    return SourceError(
        f"{path} needs a header with a column for the path ({', '.join(FILE_COLUMNS)}) and one for "
        f"the tags ({', '.join(TAG_COLUMNS)}); its columns are: {found}"
    )


def _read_split(cell: str) -> Split | None:
    name = cell.strip().lower()
    if name and name not in _SPLITS:
        raise ValueError(f"the split {cell.strip()[:40]!r} is none of {', '.join(_SPLITS)}")
    return _SPLITS.get(name)


def _is_inside(path: Path, folder: str) -> bool:
    try:
        # With symbolic links resolved, for a link may lead out as `..` does.
        return os.path.commonpath([os.path.realpath(path), folder]) == folder
    except (OSError, ValueError):  # on another drive
        return False


def _without_dots(path: Path) -> Path:
    # `a/../b` is not `b` if `a` is a link, so only the file system can tell.
    return Path(os.path.realpath(path)) if ".." in path.parts else path
