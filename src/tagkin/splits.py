"""Train, validation and test: stratified by tag, with near-duplicates kept together.

Iterative stratification for multi-label data (Sechidis, Tsoumakas and Vlahavas, 2011: "On the
stratification of multi-label data"), on groups of images instead of single images and with
sparse labels: the rarest tag that is left is dealt out first, each of its groups to the part that
lacks it most. Tags on one or two images are left out: they can't be shared out, all of them would
go to the largest part, and the other tags of their images with them.
"""

import heapq
import random
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

#: Stands for no split where splits are numbers, places in `SPLITS`.
NO_SPLIT = -1

_LEAST_IMAGES = 3  # with a tag, for it to be shared out


def splits_of_groups(
    groups: NDArray[np.int64], splits: NDArray[np.int8], count: int
) -> NDArray[np.int8]:
    """Returns the split into which new images of each group go.

    That is where the group is, and ``train`` if its images are already apart, so that nothing in
    validation or test is ever near a training image that came later.

    Args:
        groups: The number of each image's group, int64 of shape (images,).
        splits: The split that each image already has, or `NO_SPLIT`, int8 of shape (images,).
        count: How many groups there are.

    Returns:
        int8 of shape (count,), with `NO_SPLIT` where no image has a split.
    """
    first = np.full(count, len(SPLITS), np.int8)
    decided = splits != NO_SPLIT
    np.minimum.at(first, groups[decided], splits[decided])
    first[first == len(SPLITS)] = NO_SPLIT
    return first


def deal_out(
    sizes: NDArray[np.int64],
    labels: Any,
    images_there: NDArray[np.int64],
    labels_there: NDArray[np.int64],
    fractions: Mapping[Split, float],
    seed: int,
) -> NDArray[np.int8]:
    """Gives every group of images without a split one.

    Args:
        sizes: Images in each group, int64 of shape (groups,), in the order of the groups' names.
        labels: Images with each tag in each group: ``csr_array`` of shape (groups, tags), the
            tags in the order of their names.
        images_there: Images that are in each split already, int64 of shape (3,).
        labels_there: Those of each tag, int64 of shape (3, tags).
        fractions: Share of all images for each split; the shares sum to 1.
        seed: Decides between equals; the same input gives the same splits.

    Returns:
        The split of each group, int8 of shape (groups,): places in `SPLITS`.
    """
    totals = labels_there.sum(axis=0) + labels.sum(axis=0)
    shared = np.flatnonzero(totals >= _LEAST_IMAGES)
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    order = list(range(len(sizes)))
    rng.shuffle(order)
    order.sort(key=(-sizes).tolist().__getitem__)  # the small ones then fill the gaps
    shares = np.array([fractions[split] for split in SPLITS])
    dealer = _Dealer(
        sizes[order],
        labels[order][:, shared],
        shares * (sizes.sum() + images_there.sum()) - images_there,
        shares[:, None] * totals[shared] - labels_there[:, shared],
        [number for number, share in enumerate(shares) if share > 0],
    )
    result = np.empty(len(sizes), np.int8)
    result[order] = dealer.deal()
    return result


class _Dealer:
    """Gives groups, in the order of turn, to the splits that lack them most."""

    def __init__(
        self,
        sizes: NDArray[np.int64],
        labels: Any,
        wanted_images: NDArray[np.float64],
        wanted_labels: NDArray[np.float64],
        splits: list[int],
    ) -> None:
        self._sizes: list[int] = sizes.tolist()
        self._ends: list[int] = labels.indptr.tolist()
        self._tags, self._counts = labels.indices, labels.data
        self._holders = labels.tocsc()
        self._holders.sort_indices()
        self._wanted_images: list[float] = wanted_images.tolist()
        self._wanted_labels: list[list[float]] = wanted_labels.tolist()
        # Kept up to date, for to count again whenever a tag is looked at would be quadratic.
        self._remaining: list[int] = labels.sum(axis=0).tolist()
        self._splits = splits
        self._result = [NO_SPLIT] * len(self._sizes)

    def deal(self) -> list[int]:
        """Returns the split of each group."""
        for tag in self._rarest_first():
            start, end = self._holders.indptr[tag], self._holders.indptr[tag + 1]
            for group in self._holders.indices[start:end].tolist():
                if self._result[group] == NO_SPLIT:
                    lack = [labels[tag] for labels in self._wanted_labels]
                    self._place(group, max(self._splits, key=lambda s: (lack[s], self._lack(s))))
        for group, split in enumerate(self._result):
            if split == NO_SPLIT:
                self._place(group, max(self._splits, key=self._lack))
        return self._result

    def _lack(self, split: int) -> float:
        return self._wanted_images[split]

    def _rarest_first(self) -> Iterator[int]:
        heap = [(count, tag) for tag, count in enumerate(self._remaining) if count]
        heapq.heapify(heap)
        while heap:
            count, tag = heapq.heappop(heap)
            remaining = self._remaining[tag]
            if 0 < remaining < count:  # some of its groups went with rarer tags since
                heapq.heappush(heap, (remaining, tag))
            elif remaining:
                yield tag

    def _place(self, group: int, split: int) -> None:
        self._result[group] = split
        self._wanted_images[split] -= self._sizes[group]
        start, end = self._ends[group], self._ends[group + 1]
        wanted = self._wanted_labels[split]
        for tag, count in zip(
            self._tags[start:end].tolist(), self._counts[start:end].tolist(), strict=True
        ):
            wanted[tag] -= count
            self._remaining[tag] -= count
