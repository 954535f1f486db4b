"""Groups and splits of all images that changed, stored in one step."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.library import Library
from tagkin.preparing.columns import ImageColumns
from tagkin.records import IMAGES
from tagkin.splits import SPLITS

_FEW = 8  # to rewrite the table is quicker when more than one in so many images changed


def store_groups_and_splits(
    library: Library,
    table: Snapshot | None,
    columns: ImageColumns,
    groups: NDArray[np.bytes_],
    splits: NDArray[np.int8],
) -> None:
    """Stores what is new of groups and splits; nothing else of an image is touched.

    Args:
        library: The library.
        table: The images as they are now; None if there are none.
        columns: What was read of them.
        groups: The name of each image's group, type S32.
        splits: Places in `SPLITS`.

    Raises:
        LibraryError: The library can't be read or written.
    """
    if table is None:
        return
    changed = np.flatnonzero((groups != columns.groups) | (splits != columns.splits))
    if len(changed) > len(columns) // _FEW:
        library.rewrite_images(_all_rows(table, groups, splits))
    elif len(changed):
        rows = table.take(changed, IMAGES.names).combine_chunks()
        batches = [
            _with(batch, groups[changed], splits[changed])
            for batch in rows.to_batches()  # one, for chunks are combined
        ]
        library.upsert_image_table(pa.Table.from_batches(batches, IMAGES))


def _all_rows(
    table: Snapshot, groups: NDArray[np.bytes_], splits: NDArray[np.int8]
) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in table.batches(IMAGES.names):
        end = start + batch.num_rows
        yield _with(batch, groups[start:end], splits[start:end])
        start = end


def _with(
    batch: pa.RecordBatch, groups: NDArray[np.bytes_], splits: NDArray[np.int8]
) -> pa.RecordBatch:
    """Returns images with other groups and splits."""
    new = {
        "group": pa.array(groups.tolist(), pa.binary()).cast(pa.string()),
        "split": pa.array(SPLITS).take(pa.array(splits)),
    }
    names = IMAGES.names
    return pa.RecordBatch.from_arrays([new.get(n, batch.column(n)) for n in names], schema=IMAGES)
