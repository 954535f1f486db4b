"""How long a search takes among many images, how much memory, and how much the index misses.

    python benchmarks/search.py WORK --images 200000 [--vectors embeddings.npy] [--write PAGE]

A library of drawn images (see ``made_libraries.py``) is made in WORK and kept for other runs. Each
way to search runs in a process of its own with the same queries, one at a time: Tagkin with its
index and without, a plain NumPy scan, FAISS's flat index, and the index of Lance.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from made_libraries import FINGERPRINT, add_arguments, library_of, library_path
from numpy.typing import NDArray
from pages import machine, resident, show

from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.similarity import Collection, Query, Searcher, VectorIndex, parse_query
from tagkin.similarity.approximate import build_index
from tagkin.unit_vectors import unit

WAYS = ("tagkin", "exact", "numpy f32", "numpy f16", "faiss flat", "lance IVF_HNSW_SQ")
QUERIES = 300
LIMIT = 10
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(_measure(arguments.way, Library.open(library_path(arguments)))))
        return
    library = library_of(arguments)
    rows = ["| way | p50 ms | p99 ms | recall@10 | ready after s | memory MiB |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    truth = _truth(library)
    filtered: list[str] = []
    for way in arguments.ways:
        found = _in_process(arguments, way)
        if "error" in found:
            rows.append(f"| {way} | {found['error']} | | | | |")
            continue
        recall = _recall(library, truth, found["found"])
        rows.append(
            f"| {way} | {found['p50']:.1f} | {found['p99']:.1f} | {recall:.3f} | "
            f"{found['ready']:.1f} | {found['memory'] / 2**20:.0f} |"
        )
        for name, one in found.get("filters", {}).items():
            filtered.append(
                f"| {way} | {name} | {one['images']:,} | {one['p50']:.1f} | {one['p99']:.1f} |"
            )
        print(way, json.dumps({k: v for k, v in found.items() if k != "found"}), flush=True)
    dimension = library.stored_vectors(FINGERPRINT).dimension
    lines = [
        f"{arguments.images:,} images, {dimension} numbers each.",
        "",
        *rows,
        "",
        "| way | filter | images it leaves | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
        *filtered,
        "",
        machine(),
    ]
    show(f"search-{arguments.images}", lines, arguments.write)


def _in_process(arguments: argparse.Namespace, way: str) -> dict[str, Any]:
    command = [sys.executable, __file__, str(arguments.work), "--images", str(arguments.images),
               "--way", way]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:200]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


# Queries ----------------------------------------------------------------------------------------


def _queries(library: Library) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns places and vectors of the images that are searched with."""
    stored = library.stored_vectors(FINGERPRINT)
    places = np.sort(np.random.default_rng(SEED).choice(len(stored), QUERIES, replace=False))
    return places, stored.take(places).astype(np.float32)


def _truth(library: Library) -> NDArray[np.float32]:
    """Returns the cosine of the tenth nearest of the others for each query."""
    stored = library.stored_vectors(FINGERPRINT)
    queries = unit(_queries(library)[1])
    best = np.full((QUERIES, LIMIT + 1), -2, np.float32)
    for _, block in stored.blocks():
        scores = queries @ unit(block).T
        top = -np.partition(-scores, LIMIT, axis=1)[:, : LIMIT + 1]
        best = -np.sort(-np.concatenate([best, top], axis=1), axis=1)[:, : LIMIT + 1]
    return best[:, LIMIT]


def _recall(library: Library, truth: NDArray[np.float32], found: Sequence[Sequence[int]]) -> float:
    stored = library.stored_vectors(FINGERPRINT)
    own, queries = _queries(library)
    shares = []
    for query, place, least, places in zip(unit(queries), own, truth, found, strict=True):
        others = [p for p in places if p != place][:LIMIT]
        scores = unit(stored.take(np.array(others, np.int64))) @ query
        shares.append(float((scores >= least - 1e-4).sum()) / LIMIT)
    return statistics.mean(shares)


# Ways -------------------------------------------------------------------------------------------


def _measure(way: str, library: Library) -> dict[str, Any]:
    _, queries = _queries(library)
    started = time.monotonic()
    if way in ("tagkin", "exact"):
        return _tagkin(library, queries, indexed=way == "tagkin")
    search = {
        "numpy f32": _numpy_f32,
        "numpy f16": _numpy_f16,
        "faiss flat": _faiss_flat,
        "lance IVF_HNSW_SQ": _lance,
    }[way](library)
    ready = time.monotonic() - started
    return {**_timed(search, queries), "ready": ready, "memory": resident()}


def _timed(
    search: Callable[[NDArray[np.float32]], Sequence[int]], queries: NDArray[np.float32]
) -> dict[str, Any]:
    for query in queries[:20]:
        search(query)
    found, seconds = [], []
    for query in queries:
        begun = time.perf_counter()
        found.append([int(place) for place in search(query)])
        seconds.append(time.perf_counter() - begun)
    return {"found": found, **_percentiles(seconds)}


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def _tagkin(library: Library, queries: NDArray[np.float32], *, indexed: bool) -> dict[str, Any]:
    folder = library.index_path(FINGERPRINT)
    if indexed and not folder.exists():
        report = build_index(library.stored_vectors(FINGERPRINT), folder)
        print(f"index: {report}", file=sys.stderr)
    started = time.monotonic()
    collection = Collection.open(library, Settings())
    stored = library.stored_vectors(FINGERPRINT)
    index = VectorIndex.open(library, FINGERPRINT) if indexed else VectorIndex(stored, None)
    searcher = Searcher(collection, index)
    ready = time.monotonic() - started
    searcher.by_tag(collection.tags[0])
    memory = resident()
    place = {image: at for at, image in enumerate(index.stored.ids.tolist())}

    def search(query: NDArray[np.float32], where: Query | None = None) -> list[int]:
        result = searcher.by_vector(query, "q", limit=LIMIT + 1, where=where)
        return [place[image.id.encode()] for image in result.images]

    result = _timed(search, queries)
    result["filters"] = {
        name: {**_timed(lambda q, w=where: search(q, w), queries), "images": images}
        for name, where, images in _filters(collection)
    }
    for one in result["filters"].values():
        del one["found"]
    return {**result, "ready": ready, "memory": memory}


def _filters(collection: Collection) -> Iterator[tuple[str, Query, int]]:
    common, usual, rare = (collection.tags[n] for n in (0, 50, 2000))
    for name, text in (
        ("a common tag", common),
        ("without a common tag", f"-{common}"),
        ("one of two tags, in a folder", f"~{common} ~{usual} folder:007"),
        ("a rare tag", rare),
    ):
        where = parse_query(text)
        yield name, where, len(collection.select(where))


def _matrix(library: Library) -> NDArray[np.float16]:
    return np.concatenate([block for _, block in library.stored_vectors(FINGERPRINT).blocks()])


def _numpy_f32(library: Library) -> Callable[[NDArray[np.float32]], Sequence[int]]:
    matrix = unit(_matrix(library))

    def search(query: NDArray[np.float32]) -> Sequence[int]:
        scores = matrix @ unit(query)
        best = np.argpartition(-scores, LIMIT)[: LIMIT + 1]
        return best[np.argsort(-scores[best])].tolist()

    return search


def _numpy_f16(library: Library) -> Callable[[NDArray[np.float32]], Sequence[int]]:
    matrix = _matrix(library)
    norms = np.concatenate(
        [np.linalg.norm(matrix[s : s + 65536].astype(np.float32), axis=1)
         for s in range(0, len(matrix), 65536)]
    )  # fmt: skip

    def search(query: NDArray[np.float32]) -> Sequence[int]:
        blocks = (matrix[s : s + 65536].astype(np.float32) for s in range(0, len(matrix), 65536))
        scores = np.concatenate([block @ unit(query) for block in blocks]) / norms
        best = np.argpartition(-scores, LIMIT)[: LIMIT + 1]
        return best[np.argsort(-scores[best])].tolist()

    return search


def _faiss_flat(library: Library) -> Callable[[NDArray[np.float32]], Sequence[int]]:
    import faiss

    stored = library.stored_vectors(FINGERPRINT)
    index = faiss.IndexFlatIP(stored.dimension)
    for _, block in stored.blocks():
        index.add(unit(block))
    return lambda query: index.search(unit(query)[None], LIMIT + 1)[1][0].tolist()


def _lance(library: Library) -> Callable[[NDArray[np.float32]], Sequence[int]]:
    import lance

    source = library.path / f"vectors-{FINGERPRINT}.lance"
    copy = library.path.parent / f"{library.path.name}-lance-index"
    if not copy.exists():
        lance.write_dataset(lance.dataset(str(source)).to_batches(), str(copy),
                            schema=lance.dataset(str(source)).schema)  # fmt: skip
        begun = time.monotonic()
        lance.dataset(str(copy)).create_index(
            "vector", "IVF_HNSW_SQ", metric="cosine",
            num_partitions=max(1, lance.dataset(str(copy)).count_rows() // 4096),
        )  # fmt: skip
        print(f"lance index: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    table = lance.dataset(str(copy))
    place = {image: at for at, image in enumerate(library.stored_vectors(FINGERPRINT).ids.tolist())}

    def search(query: NDArray[np.float32]) -> Sequence[int]:
        nearest = {"column": "vector", "q": query.astype(np.float16), "k": LIMIT + 1,
                   "nprobes": 20, "refine_factor": 4}  # fmt: skip
        found = table.to_table(columns=["id"], nearest=nearest)
        return [place[image.encode()] for image in found.column("id").to_pylist()]

    return search


if __name__ == "__main__":
    main()
