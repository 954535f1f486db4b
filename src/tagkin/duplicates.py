"""Groups of images that look nearly the same, and which one of each to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import SettingsError
from tagkin.lance_snapshot import Snapshot
from tagkin.library import Library
from tagkin.near_duplicates import group_by_hash
from tagkin.records import IMAGES, ImageRow, to_image_rows

#: Greatest distance that may be asked for: beyond, most pairs are no duplicates.
MOST_DISTANCE = 15

_LOSSLESS = frozenset(("png", "bmp", "tiff", "webp"))


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that look nearly the same.

    Attributes:
        images: The one to keep first, then by id.
        reason: Why that one, in words.
    """

    images: tuple[ImageRow, ...]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Returns the group as JSON types."""
        return {
            "keep": self.images[0].id,
            "reason": self.reason,
            "images": [
                {
                    "id": row.id,
                    "paths": [str(path) for path in row.paths],
                    "width": row.width,
                    "height": row.height,
                    "format": row.format,
                    "bytes": largest_file(row),
                    "tags": list(row.tags),
                }
                for row in self.images
            ],
        }


def duplicate_groups(library: Library, distance: int | None = None) -> Iterator[DuplicateGroup]:
    """Yields the groups of two images or more, ordered by the id of their first.

    Only ids and hashes are in memory; the images of a group are looked up when it is yielded.

    Args:
        library: A library that ``prepare`` has finished.
        distance: Bits of the perceptual hash in which neighbours of a group may differ; if None,
            the groups are those that ``prepare`` made.

    Raises:
        SettingsError: The distance is out of range.
        LibraryError: The library can't be read.
    """
    if distance is not None and not 0 <= distance <= MOST_DISTANCE:
        raise SettingsError(f"the distance is {distance}: it must be from 0 to {MOST_DISTANCE}")
    table = library.image_table()
    if table is None:
        return
    for places in _groups(table, distance):
        found = table.take(places, IMAGES.names)
        rows = [row for batch in found.to_batches() for row in to_image_rows(batch)]
        yield suggest(rows)


def _groups(table: Snapshot, distance: int | None) -> list[NDArray[np.int64]]:
    """Returns the rows of each group, ordered by id."""
    hashes: list[int] = []
    keys: list[str] = []
    ids: list[str] = []
    places: list[int] = []
    place = 0
    for batch in table.batches(["id", "files", "phash", "group"]):
        for image, files, phash, group in zip(
            batch.column("id").to_pylist(),
            batch.column("files").value_lengths().to_pylist(),
            batch.column("phash").to_pylist(),
            batch.column("group").to_pylist(),
            strict=True,
        ):
            if files:
                ids.append(image)
                hashes.append(phash)
                keys.append(group or image)
                places.append(place)
            place += 1
    if not ids:
        return []
    if distance is None:
        labels = np.unique(np.array(keys), return_inverse=True)[1]
    else:
        labels = group_by_hash(np.array(hashes, np.uint64), distance)
    order = np.lexsort((np.array(ids), labels))
    starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
    groups = np.split(np.array(places, np.int64)[order], starts[1:])
    several = [group for group in groups if len(group) > 1]
    by_place = dict(zip(places, ids, strict=True))
    return sorted(several, key=lambda group: by_place[int(group[0])])


def suggest(rows: list[ImageRow]) -> DuplicateGroup:
    """Orders a group: the most pixels first, then lossless, then the most bytes, then most tags."""
    keys = {
        row.id: (
            row.width * row.height,
            row.format in _LOSSLESS,
            largest_file(row),
            len(row.tags),
        )
        for row in rows
    }
    best = min(rows, key=lambda row: (*(-value for value in keys[row.id]), row.id))
    others = [row for row in rows if row is not best]
    reasons = ("most pixels", "lossless format", "largest file", "most tags")
    runner_up = max(keys[row.id] for row in others)
    reason = next(
        (
            why
            for why, own, other in zip(reasons, keys[best.id], runner_up, strict=True)
            if own != other
        ),
        "all are alike; the first by id",
    )
    return DuplicateGroup((best, *others), reason)


def largest_file(row: ImageRow) -> int:
    """Returns the size in bytes of an image's largest file."""
    return max((file.bytes for file in row.files), default=0)
