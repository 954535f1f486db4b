"""An approximate index of many vectors: an inverted file of 8-bit codes, by FAISS.

The vectors fall into some thousand lists by the nearest of as many centres, and a search looks into
the few lists whose centres are nearest (Jégou, Douze and Schmid 2011, "Product quantization for
nearest neighbor search", without the product quantizer: 8 bits a number lose less). How many lists
is chosen by recall, measured on the vectors themselves.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import LibraryError
from tagkin.files import checksum, working_folder
from tagkin.progress import Progress, silent
from tagkin.records import ID_TYPE
from tagkin.stored_vectors import StoredVectors
from tagkin.unit_vectors import unit

#: Recall of the ten nearest that an index is set to.
WANTED_RECALL = 0.99

_FORMAT = 1
_INDEX, _IDS, _ABOUT = "index.faiss", "ids.npy", "index.json"
#: Recall is that of so many nearest.
NEAREST = 10
#: So many entries are compared exactly before the nearest of them are believed.
RESCORED = 40

_POINTS_PER_CENTRE = 64
_ROUNDS = 10  # of k-means; more moves the centres hardly


@dataclass(frozen=True)
class IndexReport:
    """What is known of an index.

    Attributes:
        vectors: How many it holds.
        lists: Into how many they are sorted.
        probes: How many lists a search looks into.
        recall: Share of the ten nearest that a search finds, measured when it was made.
        seconds: That making it took.
        bytes: On disk.
        made: When, ISO 8601 in UTC.
    """

    vectors: int
    lists: int
    probes: int
    recall: float
    seconds: float
    bytes: int
    made: str


class ApproximateIndex:
    """An index in memory.

    Attributes:
        ids: Image ids of its entries, type S32 of shape (entries,).
        report: What is known of it.
    """

    def __init__(self, faiss_index: Any, ids: NDArray[np.bytes_], report: IndexReport) -> None:
        self._index = faiss_index
        self.ids = ids
        self.report = report

    def search(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Returns the entries that seem nearest, the nearest first.

        Args:
            query: float32 of shape (dimension,), of length 1.
            limit: Most entries.
            allowed: Whether an entry may be found, of shape (entries,); None if all may.
        """
        share = 1.0 if allowed is None else float(allowed.mean())
        if not share:
            return np.empty(0, np.int64)
        # The fewer entries are allowed, the more lists have to be looked into to find as many.
        wanted = max(self.report.probes, self.report.lists * limit / max(1, len(self.ids)))
        probes = min(self.report.lists, math.ceil(wanted / share))
        return search_lists(self._index, query[None], limit, probes, allowed)[0]

    def reconstruct(self, entries: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns vectors as the codes have them, float32 of shape (entries, dimension)."""
        vectors: NDArray[np.float32] = self._with_map.reconstruct_batch(entries)
        return vectors

    @cached_property
    def _with_map(self) -> Any:
        self._index.make_direct_map()
        return self._index

    @classmethod
    def load(cls, folder: Path) -> "ApproximateIndex | None":
        """Loads a stored index; None if there is none.

        Raises:
            LibraryError: It is damaged, or another version of Tagkin made it.
        """
        import faiss

        try:
            about = json.loads((folder / _ABOUT).read_text("utf-8"))
            if about["format"] != _FORMAT:
                raise ValueError(f"it has format {about['format']}")
            for name, expected in about["checksums"].items():
                if checksum(folder / name) != expected:
                    raise ValueError(f"{name} is not as it was written")
            ids = np.load(folder / _IDS, allow_pickle=False).astype(ID_TYPE)
            index = faiss.read_index(str(folder / _INDEX))
            return cls(index, ids, IndexReport(**about["report"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise LibraryError(
                f"the search index {folder} is damaged ({error}): run 'tagkin index' to make it "
                "again from the vectors"
            ) from error


def read_report(folder: Path) -> IndexReport | None:
    """Returns what is known of a stored index without loading it; None if there is none whole."""
    try:
        about = json.loads((folder / _ABOUT).read_text("utf-8"))
        return IndexReport(**about["report"]) if about["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def build_index(
    stored: StoredVectors, folder: Path, *, lists: int | None = None, progress: Progress = silent
) -> IndexReport:
    """Makes the index of all stored vectors and puts it in place of the last one.

    Args:
        stored: The vectors.
        folder: Where the index will be.
        lists: Into how many lists they are sorted; chosen from their number if None.
        progress: Called with vectors done.

    Raises:
        LibraryError: The vectors can't be read or the folder can't be written.
    """
    import faiss

    started = datetime.now(UTC)
    places = stored.first_places
    number = lists or lists_for(len(places))
    quantizer = faiss.IndexFlatIP(stored.dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        stored.dimension,
        number,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.cp.spherical = True  # the centres of directions
    index.cp.niter = _ROUNDS
    index.cp.max_points_per_centroid = _POINTS_PER_CENTRE
    index.cp.min_points_per_centroid = 1
    total = len(places)
    progress("centres of the index", 0, 1)
    index.train(_sample(stored, places, number * _POINTS_PER_CENTRE))
    progress("centres of the index", 1, 1)
    for some, block in stored.blocks_of(places):
        index.add(unit(block))
        progress("vectors into the index", some.stop, total)
    trial = RecallTrial.of(stored, places, seed=0)
    probes, recall = _choose_probes(index, number, trial)
    report = IndexReport(
        vectors=total,
        lists=number,
        probes=probes,
        recall=recall,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        bytes=0,
        made=started.isoformat(timespec="seconds"),
    )
    return _store(index, stored.ids[places], report, folder)


def lists_for(vectors: int) -> int:
    """Returns into how many lists that many vectors are sorted: twice the square root."""
    return max(1, min(round(2 * math.sqrt(vectors)), vectors // 8))


def search_lists(
    index: Any,
    queries: NDArray[np.float32],
    limit: int,
    probes: int,
    allowed: NDArray[np.bool_] | None = None,
) -> list[NDArray[np.int64]]:
    """Searches an inverted file of FAISS, looking into so many lists for each query."""
    import faiss

    options: dict[str, Any] = {"nprobe": probes}
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        options["sel"] = faiss.IDSelectorBitmap(bits)
    parameters = faiss.SearchParametersIVF(**options)
    _, found = index.search(np.ascontiguousarray(queries), limit, params=parameters)
    return [row[row >= 0] for row in found]


@dataclass(frozen=True)
class RecallTrial:
    """Queries whose nearest vectors are known, to judge an index by.

    Attributes:
        queries: float32 of shape (queries, dimension), of length 1: some of the vectors.
        own: The entry that each query is, which doesn't count, int64 of shape (queries,).
        least: Cosine of the tenth nearest of the others, float32 of shape (queries,).
        stored: The vectors.
        places: Where the index's entries are stored, int64 of shape (entries,).
    """

    queries: NDArray[np.float32]
    own: NDArray[np.int64]
    least: NDArray[np.float32]
    stored: StoredVectors
    places: NDArray[np.int64]

    @classmethod
    def of(
        cls, stored: StoredVectors, places: NDArray[np.int64], *, seed: int, queries: int = 256
    ) -> "RecallTrial":
        """Draws queries and compares them with every vector.

        Args:
            stored: The vectors.
            places: Where the index's entries are stored, ascending, int64 of shape (entries,).
            seed: Of the draw.
            queries: How many; fewer if there aren't as many vectors.
        """
        size = min(queries, len(places))
        own = np.sort(np.random.default_rng(seed).choice(len(places), size, replace=False))
        chosen = unit(stored.take(places[own]))
        best = np.full((size, NEAREST + 1), -2, np.float32)  # the query itself among them
        for _, block in stored.blocks_of(places):
            scores = chosen @ unit(block).T
            kept = min(NEAREST + 1, scores.shape[1])
            top = -np.partition(-scores, kept - 1, axis=1)[:, :kept]
            best = -np.sort(-np.concatenate([best, top], axis=1), axis=1)[:, : NEAREST + 1]
        reached = best[:, min(NEAREST, len(places) - 1)]
        return cls(chosen, own, reached, stored, places)

    def recall(self, found: Sequence[NDArray[np.int64]]) -> float:
        """Returns the share of the ten nearest that are among some entries for each query."""
        shares = []
        wanted = min(NEAREST, len(self.places) - 1)
        for query, own, least, entries in zip(
            self.queries, self.own, self.least, found, strict=True
        ):
            others = entries[entries != own]
            scores = unit(self.stored.take(self.places[others])) @ query
            # By cosine and not by name, since several vectors may be equally near.
            shares.append(min(wanted, int((scores >= least - 1e-5).sum())) / max(1, wanted))
        return float(np.mean(shares)) if shares else 1.0


def _choose_probes(index: Any, lists: int, trial: RecallTrial) -> tuple[int, float]:
    """Returns the least power of two that reaches the wanted recall, with its recall."""
    probes = 1
    while True:
        recall = trial.recall(search_lists(index, trial.queries, RESCORED, probes))
        if recall >= WANTED_RECALL or probes >= lists:
            return probes, recall
        probes = min(lists, 2 * probes)


def _sample(stored: StoredVectors, places: NDArray[np.int64], most: int) -> NDArray[np.float32]:
    """Returns a random choice of vectors at length 1, read in one pass."""
    chosen = places
    if len(places) > most:
        chosen = np.sort(np.random.default_rng(0).choice(places, most, replace=False))
    sample = np.empty((len(chosen), stored.dimension), np.float32)
    for some, block in stored.blocks_of(chosen):
        sample[some] = unit(block)
    return sample


def _store(index: Any, ids: NDArray[np.bytes_], report: IndexReport, folder: Path) -> IndexReport:
    import faiss

    try:
        folder.parent.mkdir(exist_ok=True)
        with working_folder(folder.parent, f".{folder.name}-") as work:
            made = work / "index"
            made.mkdir()
            faiss.write_index(index, str(made / _INDEX))
            np.save(made / _IDS, ids)
            report = replace(report, bytes=sum(file.stat().st_size for file in made.iterdir()))
            about = {
                "format": _FORMAT,
                "checksums": {name: checksum(made / name) for name in (_INDEX, _IDS)},
                "report": asdict(report),
            }
            (made / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
            if folder.exists():
                folder.rename(work / "old")
            made.rename(folder)
    except (OSError, RuntimeError) as error:
        raise LibraryError(
            f"can't write the search index {folder}: {error}. Free some space or check the "
            "permissions, then run 'tagkin index'; searches work without it, more slowly"
        ) from error
    return report
