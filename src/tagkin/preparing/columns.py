"""What grouping and splitting need of all images: some 90 bytes each."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.records import ID_TYPE, to_ids
from tagkin.splits import NO_SPLIT, SPLITS


@dataclass(frozen=True)
class ImageColumns:
    """Images in the order in which they are stored.

    Attributes:
        ids: Type S32 of shape (images,).
        hashes: Perceptual hashes, uint64 of shape (images,).
        groups: The name of each image's group, an id; empty if it has none. Type S32.
        splits: int8 of shape (images,): places in `tagkin.splits.SPLITS`, or `NO_SPLIT`.
        files: How many files each has, int32 of shape (images,).
        truncated: Whether only a part of it can be decoded, bool of shape (images,).
    """

    ids: NDArray[np.bytes_]
    hashes: NDArray[np.uint64]
    groups: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    files: NDArray[np.int32]
    truncated: NDArray[np.bool_]

    @classmethod
    def read(cls, table: Snapshot | None) -> "ImageColumns":
        """Reads a table of images.

        Raises:
            LibraryError: It can't be read.
        """
        parts = [_empty()]
        names = ["id", "phash", "group", "split", "files", "truncated"]
        for batch in table.batches(names) if table is not None else ():
            splits = pc.fill_null(pc.index_in(batch.column("split"), pa.array(SPLITS)), NO_SPLIT)
            parts.append(
                (
                    to_ids(batch.column("id")),
                    batch.column("phash").to_numpy(zero_copy_only=False),
                    to_ids(batch.column("group")),
                    splits.to_numpy(zero_copy_only=False).astype(np.int8),
                    pc.list_value_length(batch.column("files")).to_numpy(zero_copy_only=False),
                    pc.fill_null(batch.column("truncated"), False).to_numpy(zero_copy_only=False),
                )
            )
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.ids)

    @cached_property
    def by_id(self) -> NDArray[np.intp]:
        """The places of the images in the order of their ids."""
        return np.argsort(self.ids, kind="stable")

    def find(self, ids: NDArray[np.bytes_]) -> NDArray[np.intp]:
        """Returns the place of each of some ids, type S32; -1 if it isn't there."""
        if not len(self):
            return np.full(len(ids), -1)
        order = np.minimum(np.searchsorted(self.ids, ids, sorter=self.by_id), len(self) - 1)
        places = self.by_id[order]
        return np.where(self.ids[places] == ids, places, -1)

    def group_labels(self, torn: Collection[str]) -> NDArray[np.int64]:
        """Returns the groups by number, and -1 for an image that has none.

        Args:
            torn: Names of groups that no longer count, for they have lost an image.
        """
        labels = np.full(len(self), -1, np.int64)
        alone = np.flatnonzero(self.groups == self.ids)
        labels[alone] = alone
        others = np.flatnonzero((self.groups != self.ids) & (self.groups != b""))
        labels[others] = self.find(self.groups[others])
        if torn:
            labels[np.isin(self.groups, np.array(sorted(torn), ID_TYPE))] = -1
        return labels


def _empty() -> tuple[NDArray[np.generic], ...]:
    kinds = (ID_TYPE, np.uint64, ID_TYPE, np.int8, np.int32, np.bool_)
    return tuple(np.empty(0, kind) for kind in kinds)
