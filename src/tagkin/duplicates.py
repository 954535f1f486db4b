"""Groups of images that look nearly the same, and which one of each to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.errors import SettingsError
from tagkin.lance_snapshot import Snapshot
from tagkin.library import Library
from tagkin.near_duplicates import group_by_hash, several_of
from tagkin.records import ID_TYPE, IMAGES, ImageRow, to_ids, to_image_rows

#: Greatest distance that may be asked for: beyond, most pairs are no duplicates.
MOST_DISTANCE = 15

_LOOKED_UP = 4096  # images at a time
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
    for groups in _in_parts(_groups(table, distance)):
        found = table.take(np.concatenate(groups), IMAGES.names)
        rows = (row for batch in found.to_batches() for row in to_image_rows(batch))
        for places in groups:
            yield suggest(list(islice(rows, len(places))))


def _in_parts(groups: list[NDArray[np.int64]]) -> Iterator[list[NDArray[np.int64]]]:
    """Yields some groups at a time: to look up each on its own takes far longer."""
    part: list[NDArray[np.int64]] = []
    size = 0
    for group in groups:
        part.append(group)
        size += len(group)
        if size >= _LOOKED_UP:
            yield part
            part, size = [], 0
    if part:
        yield part


def _groups(table: Snapshot, distance: int | None) -> list[NDArray[np.int64]]:
    """Returns the rows of each group, ordered by id."""
    ids, hashes, places = [np.empty(0, ID_TYPE)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    names = [pa.array([], pa.string())]
    seen = 0
    for batch in table.batches(["id", "files", "phash", "group"]):
        has_file = pc.greater(pc.list_value_length(batch.column("files")), 0)
        kept = batch.filter(has_file)
        places.append(np.flatnonzero(has_file.to_numpy(zero_copy_only=False)) + seen)
        ids.append(to_ids(kept.column("id")))
        hashes.append(kept.column("phash").to_numpy(zero_copy_only=False))
        names.append(pc.coalesce(kept.column("group"), kept.column("id")))
        seen += batch.num_rows
    order = np.argsort(np.concatenate(ids), kind="stable")
    if distance is None:
        labels = pa.concat_arrays(names).dictionary_encode().indices.to_numpy()
    else:
        labels = group_by_hash(np.concatenate(hashes), distance)
    rows = np.concatenate(places)[order]
    return [rows[group] for group in several_of(labels[order])]


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
