"""Shuffled batches of training images, from memory or a window at a time from the disk."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix, StoredRows

_RUN = 2048  # rows that are read together
_RUNS = 32  # in a window: 170 MB of vectors of 1,280 numbers


class ShuffledRows:
    """Vectors in an order that is new for each epoch.

    Those in memory are shuffled as a whole. Of those on disk, runs that lie together are drawn at
    random into windows, and each window is shuffled: the disk reads long runs only, one window is
    in memory, and images that were stored one after the other still come far apart.

    Args:
        vectors: float16 or float32 of shape (images, dimension).
        seed: Of the orders.
    """

    def __init__(self, vectors: Matrix, seed: int) -> None:
        self._vectors = vectors
        self._rng = np.random.default_rng(seed)
        self._window = len(vectors)
        if isinstance(vectors, StoredRows):
            self._window = _RUN * _RUNS
            self._runs = np.array_split(vectors.by_place(), max(1, -(-len(vectors) // _RUN)))
        self.order: NDArray[np.intp] = np.arange(len(vectors))
        self._loaded = -1, np.empty((0, 0), np.float16)
        self.shuffle()

    def shuffle(self) -> None:
        """Draws the next order."""
        if not isinstance(self._vectors, StoredRows):
            self.order = self._rng.permutation(self.order)
            return
        drawn = [self._runs[run] for run in self._rng.permutation(len(self._runs))]
        self.order = np.concatenate(drawn)
        for start in range(0, len(self.order), self._window):
            self._rng.shuffle(self.order[start : start + self._window])
        self._loaded = -1, np.empty((0, 0), np.float16)

    def batch(self, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Returns the rows ``start`` to ``stop`` of the order, and their vectors."""
        rows = self.order[start:stop]
        if not isinstance(self._vectors, StoredRows):
            return rows, self._vectors[rows]
        first, last = start // self._window, (start + len(rows) - 1) // self._window
        parts = []
        for window in range(first, last + 1):
            offset = window * self._window
            block = self._load(window)
            parts.append(block[max(0, start - offset) : start + len(rows) - offset])
        return rows, np.concatenate(parts)

    def _load(self, window: int) -> NDArray[Any]:
        number, block = self._loaded
        if number != window:
            some = self.order[window * self._window : (window + 1) * self._window]
            block = self._vectors[some]
            self._loaded = window, block
        return block


def make_batches(
    keras: Any,
    vectors: Matrix,
    labels: Any,
    mean: NDArray[np.float32],
    deviation: NDArray[np.float32],
    *,
    batch_size: int,
    seed: int,
) -> Any:
    """Returns standardised vectors and dense labels as a ``PyDataset``, shuffled for each epoch.

    Labels become dense one batch at a time, so that many tags fit.

    Args:
        keras: The module.
        vectors: float16 or float32 of shape (images, dimension).
        labels: Sparse of shape (images, tags).
        mean: float32 of shape (dimension,), which is taken off.
        deviation: float32 of shape (dimension,), by which the rest is divided.
        batch_size: Images in a batch.
        seed: Of the order.
    """
    shuffled = ShuffledRows(vectors, seed)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return -(-len(vectors) // batch_size)

        def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            start = index * batch_size
            rows, x = shuffled.batch(start, start + batch_size)
            y = labels[rows].toarray().astype(np.float32, copy=False)
            return (x.astype(np.float32) - mean) / deviation, y

        def on_epoch_end(self) -> None:
            shuffled.shuffle()

    return Batches()
