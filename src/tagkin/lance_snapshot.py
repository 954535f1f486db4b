"""One version of a Lance table, whose rows can be looked up by their place."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.lance_table import LANCE_ERRORS, explained


class Snapshot:
    """The rows of a table as they are when this is made, whatever is written later.

    Old versions are deleted after some minutes; to look rows up then fails.
    """

    def __init__(self, path: Path) -> None:
        import lance

        self.path = path
        try:
            self._table: Any = lance.dataset(str(path))
            self.version = int(self._table.version)
            self.rows = int(self._table.count_rows())
        except LANCE_ERRORS as error:
            raise explained("read", path, error) from error

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._table.schema.names)

    def batches(self, columns: Sequence[str], rows: int = 16384) -> Iterator[pa.RecordBatch]:
        """Yields all rows in the order of their places.

        Raises:
            LibraryError: They can't be read.
        """
        try:
            yield from self._table.to_batches(columns=list(columns), batch_size=rows)
        except LANCE_ERRORS as error:
            raise explained("read", self.path, error) from error

    def take(self, places: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Returns some rows, in that order.

        Args:
            places: int64 of shape (rows,).
            columns: Their names.

        Raises:
            LibraryError: They can't be read, perhaps because the version was deleted.
        """
        try:
            # Lance reads ascending places in one sweep, and each of them once.
            distinct, which = np.unique(places, return_inverse=True)
            found: pa.Table = self._table.take(distinct.tolist(), columns=list(columns))
            return found.take(pa.array(which))
        except LANCE_ERRORS as error:
            raise explained("read", self.path, error) from error
