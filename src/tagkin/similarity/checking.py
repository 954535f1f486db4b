"""How well a search index does beside comparing with every vector."""

import time
from dataclasses import dataclass

import numpy as np

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.similarity.approximate import RESCORED, RecallTrial
from tagkin.similarity.vector_index import VectorIndex

_SEED = 1  # other queries than those by which the index was set


@dataclass(frozen=True)
class IndexCheck:
    """What a check found.

    Attributes:
        queries: Images that were searched with.
        recall: Share of their ten nearest that the index finds.
        milliseconds: Of a search with the index, the median.
        exact_milliseconds: Of comparing with every vector, read from disk, the mean of many at a
            time.
    """

    queries: int
    recall: float
    milliseconds: float
    exact_milliseconds: float


def check_index(library: Library, fingerprint: str) -> IndexCheck:
    """Searches with 256 images, with the index and without.

    Raises:
        LibraryError: There is no index, or it is damaged.
    """
    index = VectorIndex.open(library, fingerprint)
    if index.approximate is None:
        raise LibraryError(
            "there is no search index: few vectors are compared one by one; make one all the same "
            "with 'tagkin index --force'"
        )
    places = index.stored.first_places
    begun = time.perf_counter()
    trial = RecallTrial.of(index.stored, places, seed=_SEED)
    exact = (time.perf_counter() - begun) / max(1, len(trial.queries))
    entry = np.full(len(index.stored), -1, np.int64)
    entry[places] = np.arange(len(places))
    found, seconds = [], []
    for query in trial.queries:
        begun = time.perf_counter()
        near, _ = index.search(query, RESCORED)
        seconds.append(time.perf_counter() - begun)
        found.append(entry[near])
    return IndexCheck(
        queries=len(trial.queries),
        recall=trial.recall(found),
        milliseconds=1000 * float(np.median(seconds)),
        exact_milliseconds=1000 * exact,
    )
