"""Some rows of a matrix without a copy of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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


#: A matrix of shape (rows, dimension), or some rows of one.
Matrix = NDArray[Any] | ChosenRows
