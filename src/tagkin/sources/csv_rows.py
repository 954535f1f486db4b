"""The rows of a CSV or TSV file, read as a stream that no bad row ends."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tagkin.errors import SourceError
from tagkin.sources.opening import open_file
from tagkin.sources.table import Columns, Row, find_columns, missing_columns
from tagkin.sources.text import bom_encoding

CSV_EXTENSIONS = (".csv", ".tsv", ".tab")

_MAX_LINE = 2**20  # characters
_CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class CsvRows:
    """The rows below the header.

    Attributes:
        path: The file.
        encoding: Its encoding, all of it verified.
        delimiter: Between the columns.
        width: Number of columns.
        columns: Where they are.
    """

    path: Path
    encoding: str
    delimiter: str
    width: int
    columns: Columns

    @property
    def name(self) -> str:
        """The format in one word."""
        return "csv"

    def __iter__(self) -> Iterator[Row]:
        """Reads the file."""
        with _open_text(self.path, self.encoding) as file:
            lines = Lines(file)
            # Strict, because a stray quotation mark would otherwise swallow the rows after it.
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            next(reader, None)  # the header
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Row(f"line {lines.number}", problem=str(error))
                    continue
                if cells:
                    yield self._row(f"line {lines.number}", cells)

    def _row(self, place: str, cells: list[str]) -> Row:
        if len(cells) != self.width:
            problem = (
                f"{len(cells)} columns where the header has {self.width}; "
                f"a cell that holds {self.delimiter!r} needs quotation marks"
            )
            return Row(place, problem=problem)
        file, tags, weights, split = (cell or "" for cell in self.columns.pick(cells))
        return Row(place, file, tags, weights, split)


def open_csv(
    path: Path, given: Mapping[str, str] | None = None, more_tags: Sequence[str] = ()
) -> CsvRows:
    """Finds out the encoding, the delimiter and the columns.

    Args:
        path: The file.
        given: See `find_columns`.
        more_tags: See `find_columns`.

    Raises:
        SourceError: The file is empty, in another encoding than UTF-8 or UTF-16, or has no header
            with the two columns.
    """
    encoding = _verified_encoding(path)
    headers = {mark: _header(path, encoding, mark) for mark in ",;\t"}
    widest = max(headers.values(), key=len)
    if given:  # names are looked for, and missed, where there are most columns
        headers = {mark: header for mark, header in headers.items() if header == widest}
    for delimiter, header in headers.items():
        columns = find_columns(header, given, more_tags)
        if columns:
            return CsvRows(path.absolute(), encoding, delimiter, len(header), columns)
    raise missing_columns(path, widest)


def _header(path: Path, encoding: str, delimiter: str) -> list[str]:
    with _open_text(path, encoding) as file:
        try:
            return next(csv.reader(Lines(file), delimiter=delimiter, strict=True), [])
        except csv.Error:  # as quotation marks are when the delimiter is another
            return []


def _open_text(path: Path, encoding: str) -> TextIO:
    return io.TextIOWrapper(open_file(path), encoding, newline="")


def _verified_encoding(path: Path) -> str:
    """Decodes the whole file once: the iteration to come may not fail half-way."""
    with open_file(path) as file:
        encoding = bom_encoding(file.read(3)) or "utf-8"
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        line = 1
        try:
            while chunk := file.read(_CHUNK):
                line += decoder.decode(chunk).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise SourceError(
                f"{path} isn't {encoding.upper()} on line {line}: {error.reason}. "
                "Save the table as UTF-8"
            ) from error
    return encoding


class Lines:
    """Lines for `csv.reader`, which goes on after the `csv.Error` that a bad line raises here."""

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self._file = file

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == _MAX_LINE and not line.endswith(("\n", "\r")):
            while line and not line.endswith(("\n", "\r")):
                line = self._file.readline(_MAX_LINE)
            raise csv.Error(f"the line has more than {_MAX_LINE:,} characters")
        if "\0" in line:
            raise csv.Error("the line holds NUL characters")
        return line
