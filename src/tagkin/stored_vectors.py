"""The vectors of one backbone as they lie on disk, read in blocks or one by one."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, to_matrix

_ROWS_AT_ONCE = 8192  # 20 MB of vectors of 1,280 numbers


class StoredVectors:
    """The vectors of one backbone; a place is the number of a row on disk, from 0.

    Raises:
        LibraryError: They can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._snapshot = Snapshot(path)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self._snapshot.rows

    @property
    def version(self) -> int:
        """A number that every write to the table makes greater."""
        return self._snapshot.version

    @cached_property
    def ids(self) -> NDArray[np.bytes_]:
        """The ids of the images, type S32 of shape (rows,), in the order of the places."""
        batches = self._snapshot.batches(["id"], rows=65536)
        found = [np.asarray(batch.column("id").to_pylist(), ID_TYPE) for batch in batches]
        return np.concatenate(found) if found else np.empty(0, ID_TYPE)

    @cached_property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self.take(np.zeros(1, np.int64)).shape[1])

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Yields all vectors: the place of the first, and float16 of shape (rows, dimension)."""
        place = 0
        for batch in self._snapshot.batches(["vector"], rows=_ROWS_AT_ONCE):
            yield place, to_matrix(batch.column("vector"))
            place += batch.num_rows

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Returns the vectors at some places, float16 of shape (places, dimension)."""
        if not len(places):
            return np.empty((0, self.dimension), np.float16)
        column = self._snapshot.take(places, ["vector"]).column("vector").combine_chunks()
        return to_matrix(column)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns vectors at length 1, float32 of the same shape; zeros stay zeros."""
    wide = np.ascontiguousarray(vectors, np.float32)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = wide / np.maximum(lengths, np.float32(1e-12))
    return scaled
