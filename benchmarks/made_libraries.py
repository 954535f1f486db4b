"""Large libraries of records and vectors without image files, drawn as real collections are.

Vectors lie between real vectors and their neighbours, moved by the differences of other neighbours:
clustered as real embeddings are. Tags follow Zipf's law. Two in three of an image's tags are those
of its topic, which alike vectors share; all but the most frequent tags belong to some topics only.
A few in a hundred images are near-duplicates of others.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from variants_size import words

from tagkin.backbones import cached_graph, resolve_backbone
from tagkin.demo import demo_collection
from tagkin.embeddings import embed
from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.records import IMAGES, vector_schema
from tagkin.settings import Settings
from tagkin.sources import open_source

FINGERPRINT = "made-up"

_AT_ONCE = 20_000
_NEAREST = 10
_TOPICS = 300
_FOLDERS = 500
_DUPLICATES = 0.03
_DAY = 24 * 3600 * 10**9


def base_vectors(work: Path, vectors: Path | None) -> NDArray[np.float32]:
    """Returns real vectors: of a file that ``tagkin embed --export`` wrote, or of the demo."""
    if vectors is not None:
        return np.load(vectors, mmap_mode="r")[:20_000].astype(np.float32)
    settings = Settings(library=work / "base", model_architecture="efficientnet-lite0")
    settings = settings.model_copy(update={"precision": "f32"})
    library = Library.create_or_open(settings.library)
    prepare(library, open_source(demo_collection()), settings)
    config = resolve_backbone(settings)
    cached_graph(config, settings.cache_dir)
    embed(library, config, settings)
    return library.vectors(config.fingerprint)[1].astype(np.float32)


class MadeCollection:
    """Draws images with tags and vectors.

    Args:
        base: Real vectors, float32 of shape (some, dimension).
        tags: Size of the vocabulary.
        seed: Of all draws.
    """

    def __init__(self, base: NDArray[np.float32], tags: int, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._base = base
        units = base / np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-9)
        self._near = np.argsort(-(units @ units.T), axis=1)[:, 1 : _NEAREST + 1]
        centres = self._rng.choice(len(base), min(_TOPICS, len(base)), replace=False)
        self._topic = np.argmax(units @ units[centres].T, axis=1)
        self.names = np.array(words(tags, self._rng), object)
        frequency = 1 / (10 + np.arange(tags))
        frequency[9::10] = 0  # misspellings stand for the tag before them
        self._frequency = np.cumsum(frequency / frequency.sum())
        size = max(20, tags // 50)
        self._of_topic = self._draw_tags(len(centres) * size).reshape(len(centres), size)
        self._last_hash = np.zeros(1, np.uint64)

    def _draw_tags(self, count: int) -> NDArray[np.int64]:
        return np.searchsorted(self._frequency, self._rng.random(count)).astype(np.int64)

    def draw(self, count: int) -> tuple[pa.Table, NDArray[np.float16]]:
        """Returns rows of the table of images, and their vectors: float16 of shape (count, d)."""
        rng, base = self._rng, self._base
        look = rng.integers(len(base), size=count)
        other = self._near[look, rng.integers(_NEAREST, size=count)]
        moved = rng.integers(len(base), size=count)
        beside = self._near[moved, rng.integers(_NEAREST, size=count)]
        toward, by = rng.random((2, count, 1), np.float32) * np.float32(0.6)
        vectors = base[look] + toward * (base[other] - base[look])
        vectors += by * (base[moved] - base[beside])
        np.maximum(vectors, 0, out=vectors)  # as behind an activation without negative values
        return self._rows(look, count), vectors.astype(np.float16)

    def _rows(self, look: NDArray[np.int64], count: int) -> pa.Table:
        rng = self._rng
        topic = self._topic[look]
        own = self._of_topic[topic[:, None], rng.integers(self._of_topic.shape[1], size=(count, 8))]
        any_ = self._draw_tags(count * 4).reshape(count, 4)
        drawn = np.concatenate([own, any_], axis=1)
        misspelled = (drawn % 10 == 8) & (drawn + 1 < len(self.names))
        drawn = drawn + (misspelled & (rng.random(drawn.shape) < 0.3))
        tags = [list(dict.fromkeys(row)) for row in self.names[drawn].tolist()]
        ids = [rng.bytes(16).hex() for _ in range(count)]
        hashes = rng.integers(0, 2**64, size=count, dtype=np.uint64)
        again = np.flatnonzero(rng.random(count) < _DUPLICATES)
        hashes[again] = hashes[np.maximum(again - 1, 0)] ^ np.uint64(0b11)
        folders = rng.integers(_FOLDERS, size=count).tolist()
        when = 1_700_000_000 * 10**9 + rng.integers(0, 700, size=count) * _DAY
        files = [
            [
                {
                    "path": f"/collection/{folder:03d}/{image}.jpg".encode(),
                    "tags": some,
                    "bytes": 100_000,
                    "mtime_ns": mtime,
                    "weights": [],
                    "source": b"/collection",
                    "missing": False,
                }
            ]
            for image, some, folder, mtime in zip(ids, tags, folders, when.tolist(), strict=True)
        ]
        splits = np.array(["train", "validation", "test"])[
            np.searchsorted([0.7, 0.85], rng.random(count))
        ]
        columns = {
            "id": ids,
            "files": files,
            "tags": tags,
            "width": [640] * count,
            "height": [480] * count,
            "format": ["jpeg"] * count,
            "frames": [1] * count,
            "phash": hashes,
            "group": [f"{n:016x}" for n in hashes.tolist()],
            "split": splits.tolist(),
            "truncated": [False] * count,
        }
        return pa.Table.from_pydict(columns, IMAGES)

    def parts(self, images: int) -> Iterator[tuple[pa.Table, NDArray[np.float16]]]:
        """Yields a whole collection in parts."""
        for start in range(0, images, _AT_ONCE):
            yield self.draw(min(_AT_ONCE, images - start))


def make_library(path: Path, collection: MadeCollection, images: int) -> Library:
    """Returns a library with so many drawn images; one that is there already is taken."""
    library = Library.create_or_open(path)
    library.update_state(prepared=True)
    table = LanceTable(path / "images.lance", IMAGES)
    if table.count() == images:
        return library
    vectors_path = path / f"vectors-{FINGERPRINT}.lance"
    for rows, vectors in collection.parts(images):
        table.append(rows)
        schema = vector_schema(vectors.shape[1])
        flat = pa.FixedSizeListArray.from_arrays(
            pa.array(vectors.ravel(), pa.float16()), vectors.shape[1]
        )
        LanceTable(vectors_path, schema).append(
            pa.Table.from_arrays([rows.column("id"), flat], schema=schema)
        )
    return library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `library_of` asks for."""
    parser.add_argument("work", type=Path, help="folder in which libraries are kept")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--tags", type=int, default=20_000)
    parser.add_argument("--vectors", type=Path, help="real vectors to draw from")
    parser.add_argument("--write", type=Path, help="Markdown page with marks for the table")


def library_of(arguments: argparse.Namespace) -> Library:
    """Returns the library that the arguments name; it is made if it isn't there."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    collection = MadeCollection(base_vectors(arguments.work, arguments.vectors), arguments.tags)
    return make_library(library_path(arguments), collection, arguments.images)


def library_path(arguments: argparse.Namespace) -> Path:
    """Returns where that library is."""
    path: Path = arguments.work / f"library-{arguments.images}"
    return path
