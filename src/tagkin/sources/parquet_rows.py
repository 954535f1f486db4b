"""The rows of a Parquet file, read in batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.remote_files import open_binary
from tagkin.sources.table import Columns, Row, find_columns, missing_columns

PARQUET_EXTENSIONS = (".parquet", ".pq")
PARQUET_MAGIC = b"PAR1"

_BATCH_ROWS = 1024


@dataclass(frozen=True)
class ParquetRows:
    """The rows of the file.

    Attributes:
        path: The file.
        names: Of all its columns.
        columns: Where those that mean something are among them.
    """

    path: Path
    names: tuple[str, ...]
    columns: Columns

    @property
    def name(self) -> str:
        """The format in one word."""
        return "parquet"

    def __iter__(self) -> Iterator[Row]:
        """Reads the file; of a damaged row group, the rest is one problem."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [name for name in self.columns.pick(self.names) if name is not None]
        with open_binary(self.path) as opened, pq.ParquetFile(opened) as file:
            start = 1
            for group in range(file.num_row_groups):
                number = start
                start += file.metadata.row_group(group).num_rows
                try:
                    for batch in file.iter_batches(_BATCH_ROWS, [group], names):
                        yield from self._batch_rows(batch, number)
                        number += batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    problem = f"these rows can't be read: {error}"
                    yield Row(f"rows {number} to {start - 1}", problem=problem)

    def _batch_rows(self, batch: Any, number: int) -> Iterator[Row]:
        cells = [
            repeat(None, batch.num_rows) if name is None else batch.column(name)
            for name in self.columns.pick(self.names)
        ]
        for at, row in enumerate(zip(*cells, strict=True), number):
            try:
                file, tags, weights, split = (
                    None if cell is None else cell.as_py() for cell in row
                )
                if isinstance(tags, list):
                    tags = [tag or "" for tag in tags]  # in their places, for the weights
                if isinstance(weights, int | float | Decimal):
                    weights = [weights]
                yield Row(f"row {at}", file or "", tags or "", weights or "", split or "")
            except UnicodeDecodeError as error:  # Parquet doesn't check its strings
                yield Row(f"row {at}", problem=str(error))


def open_parquet(
    path: Path, given: Mapping[str, str] | None = None, more_tags: Sequence[str] = ()
) -> ParquetRows:
    """Reads the schema.

    Args:
        path: The file.
        given: See `find_columns`.
        more_tags: See `find_columns`.

    Raises:
        SourceError: The file is damaged, lacks the path or the tags, or a column holds other things
            than it should.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_binary(path) as opened, pq.ParquetFile(opened) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read as Parquet: {error}") from error
    columns = find_columns(schema.names, given, more_tags)
    if not columns:
        raise missing_columns(path, schema.names)
    kinds = (
        (columns.file, "text", _is_text),
        (columns.tags, "text or lists of text", _is_list_or(_is_text)),
        (columns.weights, "numbers, lists of numbers or text", _is_list_or(_is_number_or_text)),
        (columns.split, "text", _is_text),
    )
    for place, kind, fits in kinds:
        if place is None:
            continue
        field = schema.field(place)
        if not fits(field.type):
            raise SourceError(f"column {field.name!r} of {path} is {field.type}, not {kind}")
        if schema.names.count(field.name) > 1:
            raise SourceError(f"{path} has several columns of the name {field.name!r}")
    return ParquetRows(path.absolute(), tuple(schema.names), columns)


def _is_list_or(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    import pyarrow as pa

    def is_list_or_fits(kind: Any) -> bool:
        lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        return fits(kind.value_type if lists else kind)

    return is_list_or_fits


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number_or_text(kind: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    # A column without a single value has the type null.
    return bool(number or types.is_null(kind) or _is_text(kind))
