"""Groups of near-duplicates: new images join the groups that are there."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.near_duplicates import group_by_hash
from tagkin.preparing.columns import ImageColumns


@dataclass(frozen=True)
class Groups:
    """The groups of images.

    Attributes:
        numbers: Of each image's group, int64 of shape (images,); their order is that of the names.
        names: The smallest id in each group, type S32, ascending.
    """

    numbers: NDArray[np.int64]
    names: NDArray[np.bytes_]

    @property
    def of_images(self) -> NDArray[np.bytes_]:
        """The name of each image's group."""
        return self.names[self.numbers]


def group_images(
    columns: ImageColumns, distance: int, *, settled: bool, torn: Collection[str]
) -> Groups:
    """Groups images that look nearly the same.

    Args:
        columns: All images.
        distance: Bits in which the hashes of neighbours of a group may differ.
        settled: Whether the groups that are stored are of that distance.
        torn: Names of those from which an image was taken since.
    """
    known = columns.group_labels(torn) if settled else None
    labels = group_by_hash(columns.hashes, distance, known)
    in_order = labels[columns.by_id]
    _, first, inverse = np.unique(in_order, return_index=True, return_inverse=True)
    # Numbers in the order in which groups come when images are gone through by id.
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    numbers = np.empty(len(labels), np.int64)
    numbers[columns.by_id] = rank[inverse]
    return Groups(numbers, columns.ids[columns.by_id[first[order]]])
