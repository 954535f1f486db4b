"""Small libraries with made-up vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings, load_settings
from tagkin.similarity import Collection, Searcher

FINGERPRINT = "made-up"


def image_id(number: int) -> str:
    return f"{number:032x}"


def row(
    number: int,
    *tags: str,
    folder: str = "pictures",
    mtime_ns: int = 1,
    group: str | None = None,
) -> ImageRow:
    file = ImageFile(Path(folder) / f"{number}.png", tags, 1, mtime_ns)
    return ImageRow(image_id(number), (file,), 1, 1, "png", 1, 0, group, None)


def library_of(
    path: Path, rows: Sequence[ImageRow], vectors: Sequence[Sequence[float]] | None = None
) -> Library:
    library = Library.create_or_open(path)
    library.upsert_images(rows)
    if vectors is not None:
        ids = [row.id for row in rows[: len(vectors)]]
        library.add_vectors(FINGERPRINT, ids, np.array(vectors, np.float32))
    return library


def searcher_of(
    path: Path,
    vectors: Sequence[Sequence[float]],
    tags: Sequence[Sequence[str]],
    settings: Settings | None = None,
    groups: Mapping[int, str] | None = None,
) -> Searcher:
    rows = [row(n, *some, group=(groups or {}).get(n)) for n, some in enumerate(tags)]
    library = library_of(path / "library", rows, vectors)
    collection = Collection.open(library, settings or load_settings())
    return Searcher.open(library, FINGERPRINT, collection)
