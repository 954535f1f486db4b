"""The rows of a Parquet file, read in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.sources.table import Row, find_columns, missing_columns

PARQUET_EXTENSIONS = (".parquet", ".pq")
PARQUET_MAGIC = b"PAR1"

_BATCH_ROWS = 1024


@dataclass(frozen=True)
class ParquetRows:
    """The rows of the file.

    Attributes:
        path: The file.
        file_column: Name of the column with the path.
        tag_column: Name of the column with the tags, of strings or lists of strings.
    """

    path: Path
    file_column: str
    tag_column: str

    @property
    def name(self) -> str:
        """The format in one word."""
        return "parquet"

    def __iter__(self) -> Iterator[Row]:
        """Reads the file; of a damaged row group, the rest is one problem."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            start = 1
            for group in range(file.num_row_groups):
                number = start
                start += file.metadata.row_group(group).num_rows
                try:
                    for batch in file.iter_batches(
                        _BATCH_ROWS, [group], [self.file_column, self.tag_column]
                    ):
                        yield from self._batch_rows(batch, number)
                        number += batch.num_rows
                except (pa.ArrowException, OSError) as error:
                    problem = f"these rows can't be read: {error}"
                    yield Row(f"rows {number} to {start - 1}", problem=problem)

    def _batch_rows(self, batch: Any, number: int) -> Iterator[Row]:
        pairs = zip(batch.column(self.file_column), batch.column(self.tag_column), strict=True)
        for at, (file, tags) in enumerate(pairs, number):
            try:
                value = tags.as_py()
                if isinstance(value, list):
                    value = [tag for tag in value if tag is not None]
                yield Row(f"row {at}", file.as_py() or "", value or "")
            except UnicodeDecodeError as error:  # Parquet doesn't check its strings
                yield Row(f"row {at}", problem=str(error))


def open_parquet(path: Path) -> ParquetRows:
    """Reads the schema.

    Raises:
        SourceError: The file is damaged, lacks one of the two columns, or they hold no text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read as Parquet: {error}") from error
    columns = find_columns(schema.names)
    if not columns:
        raise missing_columns(path, schema.names)
    file_field, tag_field = (schema.field(at) for at in columns)
    for field, lists in ((file_field, False), (tag_field, True)):
        if not _is_text(field.type, lists=lists):
            kind = "text or lists of text" if lists else "text"
            raise SourceError(f"column {field.name!r} of {path} is {field.type}, not {kind}")
        if schema.names.count(field.name) > 1:
            raise SourceError(f"{path} has several columns of the name {field.name!r}")
    return ParquetRows(path.absolute(), file_field.name, tag_field.name)


def _is_text(kind: Any, *, lists: bool) -> bool:
    import pyarrow as pa

    if lists and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return _is_text(kind.value_type, lists=False)
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type, lists=False)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
