"""A folder with ``metadata.jsonl``, ``.csv`` or ``.parquet``, as Hugging Face has it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.remote_files import is_folder, list_folder
from tagkin.sources.csv_rows import open_csv
from tagkin.sources.json_objects import check_encoding, iter_objects
from tagkin.sources.opening import plain_suffix
from tagkin.sources.options import SourceOptions
from tagkin.sources.parquet_rows import open_parquet
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.table import (
    SPLIT_NAMES,
    Columns,
    Row,
    TableSource,
    find_columns,
    missing_columns,
    open_rows,
)

METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
#: What datasets call their column of tags, besides the names that any table may use.
CAPTION_COLUMNS = ("label", "text", "caption")

_SAMPLE_OBJECTS = 100  # in which the columns are looked for: an object may lack some


@dataclass(frozen=True)
class JsonRows:
    """The lines of a JSONL table.

    Attributes:
        path: The file.
        names: Of its columns.
        columns: Where those that mean something are among them.
    """

    path: Path
    names: tuple[str, ...]
    columns: Columns

    @property
    def name(self) -> str:
        """The format in one word."""
        return "jsonl"

    def __iter__(self) -> Iterator[Row]:
        """Reads the file."""
        names = self.columns.pick(self.names)
        for entry in iter_objects(self.path):
            if entry.problem:
                yield Row(entry.place, problem=entry.problem)
                continue
            cells = [None if name is None else entry.value.get(name) for name in names]
            try:
                yield Row(
                    entry.place,
                    _text(cells[0], "file"),
                    _texts(cells[1]),
                    _numbers(cells[2]),
                    _text(cells[3], "split"),
                )
            except ValueError as error:
                yield Row(entry.place, problem=str(error))


@dataclass(frozen=True)
class ImageFolderSource:
    """All metadata files of a folder; the name of a sub-folder may say the split.

    Attributes:
        path: The folder, or a single metadata file.
        tables: The metadata files.
    """

    path: Path
    tables: tuple[TableSource, ...]

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "imagefolder"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return "image folder, " + "; ".join(table.description for table in self.tables)

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Reads the tables one after the other."""
        root = self.path if is_folder(self.path) else self.path.parent
        for table in self.tables:
            for item in table:
                if isinstance(item, ImageRecord) and item.split is None:
                    below = item.path.relative_to(root).parts if root in item.path.parents else ()
                    split = SPLIT_NAMES.get(below[0].lower()) if len(below) > 1 else None
                    yield replace(item, split=split) if split else item
                else:
                    yield item

    def count(self) -> Iterator[None]:
        """Goes through the rows."""
        return (row for table in self.tables for row in table.count())


def open_imagefolder(path: Path, options: SourceOptions) -> ImageFolderSource:
    """Opens a folder, or one metadata file.

    Raises:
        SourceError: There is no metadata file, or one lacks the path or the tags.
    """
    files = metadata_files(path) if is_folder(path) else [path]
    if not files:
        raise SourceError(f"there is no {', '.join(METADATA_NAMES)} in {path}")
    tables = tuple(open_rows(file, _rows_of(file, options), options) for file in files)
    return ImageFolderSource(path.absolute(), tables)


def metadata_files(folder: Path) -> list[Path]:
    """Returns the metadata files of a folder and of the folders in it."""
    found = []
    for where in (folder, *(folder / name for name, below in list_folder(folder) if below)):
        names = [name for name, below in list_folder(where) if not below]
        found += [where / name for name in METADATA_NAMES if name in names]
    return found


def open_jsonl(path: Path, options: SourceOptions) -> JsonRows:
    """Finds out the columns of a JSONL table.

    Raises:
        SourceError: It lacks the path or the tags, or is in another encoding than UTF-8.
    """
    check_encoding(path)
    names: dict[str, None] = {}
    for number, entry in enumerate(iter_objects(path)):
        names |= dict.fromkeys(entry.value)
        if number >= _SAMPLE_OBJECTS:
            break
    columns = find_columns(list(names), options.columns, CAPTION_COLUMNS)
    if columns is None:
        raise missing_columns(path, list(names))
    return JsonRows(path.absolute(), tuple(names), columns)


def _rows_of(file: Path, options: SourceOptions) -> Any:
    extension = plain_suffix(file)
    if extension == ".csv":
        return open_csv(file, options.columns, CAPTION_COLUMNS)
    if extension == ".parquet":
        return open_parquet(file, options.columns, CAPTION_COLUMNS)
    return open_jsonl(file, options)


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"its {what} is no text")
    return value


def _texts(value: Any) -> str | list[str]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):  # the number of a class
        return [str(value)]
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return value
    raise ValueError("its tags are no text and no list of texts")


def _numbers(value: Any) -> str | list[float | None]:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    values = value if isinstance(value, list) else [value]
    if all(one is None or isinstance(one, int | float) for one in values):
        return values
    raise ValueError("its weights are no numbers")
