"""Tables of images and tags: what their columns, cells and paths mean, whatever the format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from tagkin.errors import SourceError
from tagkin.sources.options import SourceOptions
from tagkin.sources.paths import ImagePaths
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.text import detect_separator
from tagkin.sources.weights import Weight, weigh
from tagkin.splits import Split

# Earlier names win in a table that has several of them.
FILE_COLUMNS = ("file", "filename", "file_name", "path", "image")
TAG_COLUMNS = ("tags", "tag", "labels", "keywords")
WEIGHT_COLUMNS = ("weights", "weight", "confidence")
SPLIT_COLUMNS = ("split",)

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    "test": "test",
}

Cell = TypeVar("Cell")

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

    def pick(self, cells: Sequence[Cell]) -> list[Cell | None]:
        """Returns path, tags, weights and split of a row, or of the names; None for no column."""
        places = (self.file, self.tags, self.weights, self.split)
        return [None if place is None else cells[place] for place in places]


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
        path: The table.
        rows: Its content.
        separator: What separates the tags within a cell; "" if each cell is one tag.
        images: Makes paths of what it names.
    """

    path: Path
    rows: Rows
    separator: str
    images: ImagePaths

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
        for row in self.rows:
            try:
                yield self._read(row)
            except ValueError as error:
                yield SourceProblem(self.path, f"{row.place}: {error}")

    def count(self) -> Iterator[None]:
        """Goes through the rows."""
        return (None for _ in self.rows)

    def _read(self, row: Row) -> ImageRecord:
        if row.problem:
            raise ValueError(row.problem)
        path = self.images.path_of(row.file)
        tags, weights = weigh(row.tags, row.weights, self.separator)
        return ImageRecord(path, tags, weights, read_split(row.split))


def open_rows(path: Path, rows: Rows, options: SourceOptions) -> TableSource:
    """Makes a source of a table's rows, detecting the separator of tags if it isn't given.

    Raises:
        SourceError: The table can't be read.
    """
    separator = options.separator
    if separator is None:
        sample = islice(rows, _SAMPLE_ROWS)
        separator = detect_separator([row.tags for row in sample if isinstance(row.tags, str)])
    whose = "the table's folder" if options.images is None else "the folder of images"
    images = options.image_paths(path, whose)
    return TableSource(path.absolute(), rows, separator, images)


def find_columns(
    columns: Sequence[str], given: Mapping[str, str] | None = None, more_tags: Sequence[str] = ()
) -> Columns | None:
    """Where the columns are that mean something; None if the path or the tags are missing.

    Args:
        columns: All names, in their order.
        given: Names that the owner gave, by what they mean.
        more_tags: Further names that the column of tags may have.

    Raises:
        SourceError: A name that was given is not among the columns, or means nothing.
    """
    positions = {name.strip().lower(): at for at, name in reversed(list(enumerate(columns)))}
    kinds = {
        "file": FILE_COLUMNS,
        "tags": (*TAG_COLUMNS, *more_tags),
        "weights": WEIGHT_COLUMNS,
        "split": SPLIT_COLUMNS,
    }
    for kind, name in (given or {}).items():
        if kind not in kinds:
            raise SourceError(f"a column can't be a {kind!r}; it can be {', '.join(kinds)}")
        if name.strip().lower() not in positions:
            found = ", ".join(repr(column[:40]) for column in columns[:20]) or "none"
            raise SourceError(f"there is no column {name!r}; the columns are: {found}")
        kinds[kind] = (name.strip().lower(),)
    file, tags, weights, split = (
        next((positions[name] for name in names if name in positions), None)
        for names in kinds.values()
    )
    return None if file is None or tags is None else Columns(file, tags, weights, split)


def missing_columns(path: Path, columns: Sequence[str]) -> SourceError:
    """The error for a table without the two columns."""
    found = ", ".join(repr(name[:40]) for name in columns[:20]) or "none"
    return SourceError(
        f"{path} needs a header with a column for the path ({', '.join(FILE_COLUMNS)}) and one for "
        f"the tags ({', '.join(TAG_COLUMNS)}), or be told with --columns file=NAME,tags=NAME; its "
        f"columns are: {found}"
    )


def read_split(name: str) -> Split | None:
    """Returns the split that a name stands for; None for white space.

    Raises:
        ValueError: It is none of the names of splits.
    """
    plain = name.strip().lower()
    if plain and plain not in SPLIT_NAMES:
        raise ValueError(f"the split {name.strip()[:40]!r} is none of {', '.join(SPLIT_NAMES)}")
    return SPLIT_NAMES.get(plain)
