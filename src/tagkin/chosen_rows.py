"""Some rows of a matrix of vectors without a copy of them, in memory or on disk."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.stored_vectors import StoredVectors

_BLOCK = 8192  # rows at once


class ChosenRows:
    """Some rows of a matrix, which takes slices and arrays of places as a matrix does.

    Of a million vectors the training images alone would be another 1.8 GB.

    Args:
        vectors: float16 or float32 of shape (images, dimension).
        places: Of the rows, integers of shape (rows,).
    """

    def __init__(self, vectors: NDArray[Any], places: NDArray[np.intp]) -> None:
        self._vectors = vectors
        self._places = places
        self.shape = (len(places), vectors.shape[1])

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self._places)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Returns a copy of some rows."""
        some: NDArray[Any] = self._vectors[self._places[key]]
        return some

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Returns a copy of all rows."""
        return np.asarray(self[:], dtype)


class StoredRows:
    """Some vectors of a library that stay on disk and are read a part at a time.

    Args:
        stored: The vectors of a backbone.
        places: Where the rows are among them, int64 of shape (rows,), in any order.
    """

    def __init__(self, stored: StoredVectors, places: NDArray[np.int64]) -> None:
        self._stored = stored
        self.places = places
        self.shape = (len(places), stored.dimension)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.places)

    def __getitem__(self, key: Any) -> NDArray[np.float16]:
        """Reads some rows, which should be few or lie together on the disk."""
        return self._stored.take(self.places[key])

    @property
    def nbytes(self) -> int:
        """Bytes that the rows would take in memory."""
        return 2 * self.shape[0] * self.shape[1]

    def some(self, rows: NDArray[np.integer[Any]]) -> "StoredRows":
        """Returns some of the rows, which stay on disk as well."""
        return StoredRows(self._stored, self.places[rows])

    def read(self) -> NDArray[np.float16]:
        """Reads all rows into memory: float16 of shape (rows, dimension)."""
        return self._stored.gather(self.places)

    def by_place(self) -> NDArray[np.intp]:
        """Returns the rows in the order in which they lie on the disk."""
        return np.argsort(self.places, kind="stable")


#: A matrix of shape (rows, dimension), or some rows of one.
Matrix = NDArray[Any] | ChosenRows | StoredRows


def blocks(vectors: Matrix) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """Yields the numbers of some rows and these rows, in the order that is quickest to read."""
    order = vectors.by_place() if isinstance(vectors, StoredRows) else np.arange(len(vectors))
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        yield rows, vectors[rows]
