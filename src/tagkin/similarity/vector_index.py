"""The vectors of a library, searched exactly while they are few and by an index once they aren't.

What the index doesn't hold yet, since it came later, is searched exactly beside it; so images are
found as soon as they have a vector, and the index is made anew only now and then.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.progress import Progress, silent
from tagkin.similarity.approximate import ApproximateIndex, build_index, read_report
from tagkin.stored_vectors import StoredVectors
from tagkin.unit_vectors import unit

#: From so many vectors on, an index is made; below, comparing with all takes a few milliseconds.
INDEX_FROM = 50_000
_NEW_SHARE = 0.2  # of vectors that the index lacks, from which on it is made again
_FEW = 0.05  # of the vectors, which are looked up one by one rather than read with all others
_AT_ONCE = 4096
_EXTRA = 30  # candidates beyond those asked for, since codes of 8 bits order them roughly


class VectorIndex:
    """All vectors of a backbone, to be searched; a place is that of `StoredVectors`.

    Attributes:
        stored: The vectors on disk.
        approximate: The index of most of them; None if all are compared.
    """

    def __init__(self, stored: StoredVectors, approximate: ApproximateIndex | None) -> None:
        self.stored = stored
        self.approximate = approximate
        self._entry_places = np.empty(0, np.int64)
        if approximate is not None:
            self._entry_places = stored.find(approximate.ids)
        self._gone = self._entry_places < 0  # entries that have no vector any more
        indexed = np.zeros(len(stored), bool)
        indexed[self._entry_places[~self._gone]] = True
        self._rest = stored.first_places[~indexed[stored.first_places]]
        self._flat = _flat_index(stored, self._rest)

    @classmethod
    def open(cls, library: Library, fingerprint: str) -> "VectorIndex":
        """Opens the vectors of a backbone, with the index if there is one.

        Raises:
            LibraryError: There are no vectors, or the index is damaged.
        """
        stored = library.stored_vectors(fingerprint)
        return cls(stored, ApproximateIndex.load(library.index_path(fingerprint)))

    def search(
        self,
        query: NDArray[np.float32],
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Finds the vectors with the greatest cosine.

        Args:
            query: float32 of shape (dimension,), of any length.
            limit: Most vectors.
            allowed: Whether the vector of a place may be found, of shape (stored,); None if all.

        Returns:
            Places int64 and cosines float32 in -1..1, in no order; cosines are exact, and without
            an index the nearest are exact as well.

        Raises:
            LibraryError: The vectors can't be read.
        """
        direction = unit(query)
        places = self._candidates(direction, limit + _EXTRA, allowed)
        if not len(places):
            return places, np.empty(0, np.float32)
        cosines = (unit(self.stored.take(places)) @ direction).clip(-1, 1)
        return places, cosines.astype(np.float32)

    def _candidates(
        self, direction: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        found = []
        if self.approximate is not None:
            may = ~self._gone
            if allowed is not None:
                may &= allowed[self._entry_places]
            only = None if may.all() else may
            found.append(self._entry_places[self.approximate.search(direction, limit, only)])
        if len(self._rest):
            found.append(self._rest[self._search_rest(direction, limit, allowed)])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _search_rest(
        self, direction: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        import faiss

        parameters = None
        if allowed is not None:
            bits = np.packbits(allowed[self._rest], bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        most = min(limit, len(self._rest))
        _, found = self._flat.search(direction[None], most, params=parameters)
        row: NDArray[np.int64] = found[0]
        return row[row >= 0]

    def rough(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns vectors at length 1 from memory, to within the precision of the index.

        Args:
            places: int64 of shape (places,).

        Returns:
            float32 of shape (places, dimension).
        """
        vectors = np.empty((len(places), self.stored.dimension), np.float32)
        for known, source in (
            (self._rest, self._flat),
            (self._entry_places, self.approximate),
        ):
            if source is None or not len(known):
                continue
            order = np.argsort(known, kind="stable")
            at = np.minimum(np.searchsorted(known, places, sorter=order), len(known) - 1)
            numbers = order[at]
            here = known[numbers] == places
            if here.any():
                vectors[here] = _reconstruct(source, numbers[here])
        return vectors


@dataclass(frozen=True)
class IndexNeed:
    """Whether an index should be made, and why."""

    wanted: bool
    reason: str


def index_need(library: Library, fingerprint: str) -> IndexNeed:
    """Returns whether searches would gain from a new index.

    Raises:
        LibraryError: There are no vectors.
    """
    vectors = len(library.stored_vectors(fingerprint))
    report = read_report(library.index_path(fingerprint))
    if vectors < INDEX_FROM:
        return IndexNeed(False, f"{vectors:,} vectors are compared in milliseconds without one")
    if report is None:
        return IndexNeed(True, f"{vectors:,} vectors and no index")
    if vectors - report.vectors > _NEW_SHARE * vectors:
        return IndexNeed(True, f"the index holds {report.vectors:,} of {vectors:,} vectors")
    return IndexNeed(False, f"the index holds {report.vectors:,} of {vectors:,} vectors")


def keep_index(library: Library, fingerprint: str, *, progress: Progress = silent) -> IndexNeed:
    """Makes the index if one is missing or has become old; returns whether it was.

    Raises:
        LibraryError: There are no vectors, or the index can't be written.
    """
    need = index_need(library, fingerprint)
    if need.wanted:
        stored = library.stored_vectors(fingerprint)
        build_index(stored, library.index_path(fingerprint), progress=progress)
    return need


def _flat_index(stored: StoredVectors, places: NDArray[np.int64]) -> Any:
    """Returns some vectors in memory, in half precision, in the order of their places."""
    import faiss

    if not len(stored):
        raise LibraryError("the library has no vectors yet: run 'tagkin embed' first")
    flat = faiss.IndexScalarQuantizer(
        stored.dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    if len(places) < _FEW * len(stored):
        for some in np.array_split(places, max(1, len(places) // _AT_ONCE)):
            if len(some):
                flat.add(unit(stored.take(some)))
        return flat
    for _, block in stored.blocks_of(places):
        flat.add(unit(block))
    return flat


def _reconstruct(source: Any, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    if isinstance(source, ApproximateIndex):
        return source.reconstruct(numbers)
    vectors: NDArray[np.float32] = source.reconstruct_batch(numbers)
    return vectors
