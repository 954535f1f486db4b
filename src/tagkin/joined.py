"""Groups that pairs of things make, directly or by a chain: connected components."""

import numpy as np
from numpy.typing import NDArray

_PAIRS = 2**22  # kept before they are joined

Labels = NDArray[np.int64]


class Joined:
    """Groups of numbered things; at first each is one of its own.

    Args:
        size: How many things there are.
    """

    def __init__(self, size: int) -> None:
        self._labels = np.arange(size, dtype=np.int64)
        self._waiting: list[tuple[Labels, Labels]] = []
        self._pairs = 0

    def join(self, left: Labels, right: Labels) -> None:
        """Joins pairs of things, given the numbers of both: int64 of shape (pairs,)."""
        apart = self._labels[left] != self._labels[right]
        self._waiting.append((left[apart], right[apart]))
        self._pairs += int(np.count_nonzero(apart))
        if self._pairs > _PAIRS:
            self.labels()

    def labels(self) -> Labels:
        """Returns the number of each thing's group, from 0: int64 of shape (size,)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if self._pairs:
            left, right = (
                self._labels[np.concatenate(side)] for side in zip(*self._waiting, strict=True)
            )
            size = int(self._labels.max()) + 1
            graph = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(size, size))
            _, found = connected_components(graph, directed=False)
            self._labels = found.astype(np.int64)[self._labels]
            self._waiting, self._pairs = [], 0
        return self._labels
