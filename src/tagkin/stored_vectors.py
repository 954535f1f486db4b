"""The vectors of one backbone as they lie on disk, read in blocks or one by one."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, places_in, to_ids, to_matrix

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
        found = [to_ids(batch.column("id")) for batch in batches]
        return np.concatenate(found) if found else np.empty(0, ID_TYPE)

    @cached_property
    def first_places(self) -> NDArray[np.int64]:
        """The place of each image's vector, ascending: int64 of shape (images,).

        Two runs at the same time may both have stored a vector of the same image.
        """
        return np.sort(np.unique(self.ids, return_index=True)[1])

    def find(self, ids: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Returns the places of some images' vectors, -1 for those that have none.

        Args:
            ids: Type S32, in any order.
        """
        order, ascending = self._by_id
        at = places_in(ids, ascending)
        return np.where(at >= 0, order[at], -1) if len(order) else at

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.int64], NDArray[np.bytes_]]:
        """Places ordered by id, and the ids in that order."""
        order = self.first_places[np.argsort(self.ids[self.first_places], kind="stable")]
        return order, self.ids[order]

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

    def blocks_of(self, places: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float16]]]:
        """Yields the vectors at many places, read in one sweep with all others.

        Args:
            places: int64 of shape (places,), ascending.

        Yields:
            Which of the places, and float16 of shape (those places, dimension).
        """
        for start, block in self.blocks():
            first, last = np.searchsorted(places, [start, start + len(block)]).tolist()
            if last > first:
                yield slice(first, last), block[places[first:last] - start]

    def gather(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Returns the vectors at many places in any order, float16 of shape (places, dimension).

        All are read in one sweep, each block going to its place at once: there is never a second
        copy of them all.
        """
        order = np.argsort(places, kind="stable")
        vectors = np.empty((len(places), self.dimension), np.float16)
        for some, block in self.blocks_of(places[order]):
            vectors[order[some]] = block
        return vectors

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float16]:
        """Returns the vectors at some places, float16 of shape (places, dimension)."""
        if not len(places):
            return np.empty((0, self.dimension), np.float16)
        column = self._snapshot.take(places, ["vector"]).column("vector").combine_chunks()
        return to_matrix(column)
