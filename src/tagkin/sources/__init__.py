"""Readers of tagging conventions: each turns a collection into a stream of image records."""

from pathlib import Path

from tagkin.errors import SourceError
from tagkin.sources.csv_rows import CSV_EXTENSIONS, open_csv
from tagkin.sources.folder import open_folder
from tagkin.sources.parquet_rows import PARQUET_EXTENSIONS, PARQUET_MAGIC, open_parquet
from tagkin.sources.record import ImageRecord, Source, SourceProblem
from tagkin.sources.table import Rows, open_rows

__all__ = ["ImageRecord", "Source", "SourceProblem", "open_source"]


def open_source(path: Path, *, separator: str | None = None, allow_outside: bool = False) -> Source:
    """Opens a collection by what it looks like.

    Args:
        path: A folder of images with ``.txt`` files beside them, or a CSV, TSV or Parquet table
            with a ``file`` and a ``tags`` column.
        separator: What separates the tags within a cell of a table; detected if None, and each
            cell is a single tag if empty.
        allow_outside: Whether a table may name files outside of its own folder.

    Raises:
        SourceError: It is none of these, or can't be read at all.
    """
    try:
        if path.is_dir():
            return open_folder(path)
        if not path.exists():
            raise SourceError(f"{path} doesn't exist")
        rows = _table_rows(path) if path.is_file() else None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read: {error}") from error
    if rows is None:
        raise SourceError(
            f"{path} isn't a known kind of collection. Give a folder of images with tags in .txt "
            "files beside them, or a .csv, .tsv or .parquet table with the columns 'file' and "
            "'tags'"
        )
    return open_rows(path, rows, separator, allow_outside)


def _table_rows(path: Path) -> Rows | None:
    with path.open("rb") as file:
        magic = file.read(len(PARQUET_MAGIC))
    extension = path.suffix.lower()
    if magic == PARQUET_MAGIC or extension in PARQUET_EXTENSIONS:
        return open_parquet(path)
    return open_csv(path) if extension in CSV_EXTENSIONS else None
