"""Train, validation and test: stratified by tag, with near-duplicates kept together.

Iterative stratification for multi-label data (Sechidis, Tsoumakas and Vlahavas, 2011: "On the
stratification of multi-label data"), on groups of images instead of single images and with
sparse labels: the rarest tag that is left is dealt out first, each of its groups to the part that
lacks it most. Tags on one or two images are left out: they can't be shared out, all of them would
go to the largest part, and the other tags of their images with them.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


_LEAST_IMAGES = 3  # with a tag, for it to be shared out


@dataclass
class _Group:
    images: list[int]
    labels: Counter[str]
    split: Split | None


def assign_splits(
    groups: Sequence[str],
    image_tags: Sequence[Sequence[str]],
    existing: Sequence[Split | None],
    fractions: Mapping[Split, float],
    seed: int,
) -> list[Split]:
    """Gives every image without a split one, and leaves the others as they are.

    Args:
        groups: The near-duplicate group of each image; images of one group get the same split.
        image_tags: The tags of each image.
        existing: The split that each image already has. A new image that joins a group goes
            where the group is, and to ``train`` if the group's images are already apart, so that
            nothing in validation or test is ever near a training image that came later.
        fractions: Share of the images for each split; the shares sum to 1.
        seed: Decides between equals; the same input gives the same splits.

    Returns:
        The split of each image.
    """
    totals = Counter(tag for tags in image_tags for tag in tags)
    shared = {tag: count for tag, count in totals.items() if count >= _LEAST_IMAGES}
    members = _collect(groups, image_tags, existing, shared)
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    open_groups = [group for group in members if group.split is None]
    rng.shuffle(open_groups)
    open_groups.sort(key=lambda group: -len(group.images))  # the small ones then fill the gaps

    size = len(groups)
    wanted_images = {split: fractions[split] * size for split in SPLITS}
    wanted_labels = {
        split: defaultdict(float, {tag: fractions[split] * n for tag, n in shared.items()})
        for split in SPLITS
    }

    queue = _RarestFirst(open_groups)

    def place(group: _Group, split: Split) -> None:
        if group.split is None:
            queue.remove(group)
        group.split = split
        wanted_images[split] -= len(group.images)
        for tag, count in group.labels.items():
            wanted_labels[split][tag] -= count

    for group in members:
        if group.split is not None:
            place(group, group.split)

    def neediest(tag: str | None) -> Split:
        return max(
            (split for split in SPLITS if fractions[split] > 0),
            key=lambda split: (
                wanted_labels[split][tag] if tag is not None else 0.0,
                wanted_images[split],
            ),
        )

    for tag, holders in queue:
        for group in holders:
            place(group, neediest(tag))
    for group in open_groups:
        if group.split is None:
            place(group, neediest(None))

    result: list[Split] = ["train"] * size
    for group in members:
        for image in group.images:
            result[image] = existing[image] or group.split or "train"
    return result


def _collect(
    groups: Sequence[str],
    image_tags: Sequence[Sequence[str]],
    existing: Sequence[Split | None],
    shared: Mapping[str, int],
) -> list[_Group]:
    members: dict[str, _Group] = {}
    for image, (name, tags) in enumerate(zip(groups, image_tags, strict=True)):
        group = members.setdefault(name, _Group([], Counter(), None))
        group.images.append(image)
        group.labels.update(tag for tag in tags if tag in shared)
    for group in members.values():
        found = {existing[image] for image in group.images}
        group.split = next((split for split in SPLITS if split in found), None)
    return [members[name] for name in sorted(members)]


class _RarestFirst:
    """Iterates over (tag, its groups not yet placed), the rarest remaining tag first."""

    def __init__(self, open_groups: list[_Group]) -> None:
        self._holders: defaultdict[str, list[_Group]] = defaultdict(list)
        for group in open_groups:
            for tag in group.labels:
                self._holders[tag].append(group)
        # Kept up to date, for to count again whenever a tag is looked at would be quadratic.
        self._remaining: Counter[str] = Counter()
        for group in open_groups:
            self._remaining.update(group.labels)
        self._heap = [(count, tag) for tag, count in self._remaining.items()]
        heapq.heapify(self._heap)

    def remove(self, group: _Group) -> None:
        """Counts a group no longer, which is about to get its split."""
        self._remaining.subtract(group.labels)

    def __iter__(self) -> "_RarestFirst":
        return self

    def __next__(self) -> tuple[str, list[_Group]]:
        while self._heap:
            count, tag = heapq.heappop(self._heap)
            remaining = self._remaining[tag]
            if remaining == 0:
                continue
            if remaining < count:  # some of its groups went with rarer tags since it was queued
                heapq.heappush(self._heap, (remaining, tag))
                continue
            return tag, [group for group in self._holders[tag] if group.split is None]
        raise StopIteration
