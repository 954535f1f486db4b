"""Splits for new images, and the tags of all images counted for that and for the report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tagkin.lance_snapshot import Snapshot
from tagkin.preparing.columns import ImageColumns
from tagkin.records import ID_TYPE, ImageRow
from tagkin.settings import Settings
from tagkin.splits import NO_SPLIT, SPLITS, Split, deal_out, splits_of_groups
from tagkin.tag_numbers import NumberCounts, TagNumbers, rows_of
from tagkin.vocabulary import TagRules

_ROWS = 65536  # at once: each time, every tag among them is looked up
_OPEN = len(SPLITS)  # the kind of images whose split is yet to be found


@dataclass(frozen=True)
class Outcome:
    """The images with their splits, and what was counted on the way.

    Attributes:
        splits: Places in `SPLITS`, int8 of shape (images,).
        untagged: Images with a file and without a tag, after the edits.
        raw_tags: Images with each raw tag, after the edits.
        tags: The same of the resolved tags, by split.
    """

    splits: NDArray[np.int8]
    untagged: int
    raw_tags: Mapping[str, int]
    tags: Mapping[str, Mapping[Split, int]]


def split_images(
    table: Snapshot | None,
    columns: ImageColumns,
    groups: NDArray[np.int64],
    wanted: Mapping[str, Split],
    edited: Mapping[str, ImageRow],
    rules: TagRules,
    settings: Settings,
) -> Outcome:
    """Gives images without a split one, and counts tags, in one pass over the table.

    Args:
        table: The images; None if there is none yet.
        columns: What was read of them before.
        groups: The number of each image's group of near-duplicates, whose order is that of the
            names; int64 of shape (images,).
        wanted: The split that the source names for some images.
        edited: The images whose tags were edited, as they are then.
        rules: How tags are resolved.
        settings: Shares and seed.
    """
    own = columns.splits.copy()
    if wanted:
        places = columns.find(np.array(list(wanted), ID_TYPE))
        own[places] = [SPLITS.index(split) for split in wanted.values()]
    count = int(groups.max(initial=-1)) + 1
    of_group = splits_of_groups(groups, own, count)
    settled = np.where(own == NO_SPLIT, of_group[groups], own)
    counting = _Counting(TagNumbers(rules), columns, of_group[groups], settled, edited)
    for batch in table.batches(["tags"], _ROWS) if table is not None else ():
        counting.add(batch.column("tags"))
    dealt = _deal(counting, groups, of_group, settings)
    splits = np.where(own == NO_SPLIT, dealt[groups], own).astype(np.int8)
    return counting.outcome(splits, edited)


def split_fractions(settings: Settings) -> dict[Split, float]:
    """Returns the share of the images in each split."""
    held_out = settings.validation_fraction + settings.test_fraction
    return {
        "train": 1 - held_out,
        "validation": settings.validation_fraction,
        "test": settings.test_fraction,
    }


class _Counting:
    """Goes through the tags of all images, in the order of the columns.

    Args:
        numbers: Of the tags.
        columns: The images.
        of_groups: The split of each image's group, or `NO_SPLIT`.
        own: The split of each image, or `NO_SPLIT`.
        edited: Images whose tags are counted apart.
    """

    def __init__(
        self,
        numbers: TagNumbers,
        columns: ImageColumns,
        of_groups: NDArray[np.int8],
        own: NDArray[np.int8],
        edited: Mapping[str, ImageRow],
    ) -> None:
        self.numbers = numbers
        self._columns = columns
        self._of_groups = np.where(of_groups == NO_SPLIT, _OPEN, of_groups)
        self._own = np.where(own == NO_SPLIT, _OPEN, own)
        self._as_read = np.ones(len(columns), bool)
        places = columns.find(np.array(list(edited), ID_TYPE))
        self._as_read[places[places >= 0]] = False
        self.by_group, self._by_image = NumberCounts(_OPEN + 1), NumberCounts(_OPEN + 1)
        self._raw = NumberCounts()
        self._rows = self._untagged = 0
        none = np.empty(0, np.int32)
        self._open = [(none, none)]

    def add(self, tags: pa.ListArray) -> None:
        here = slice(self._rows, self._rows + len(tags))
        raw_rows, raw = rows_of(tags), self.numbers.raw(tags)
        as_read = self._as_read[here]
        self._raw.add(raw[as_read[raw_rows]])
        untagged = np.bincount(raw_rows, minlength=len(tags)) == 0
        untagged &= as_read & (self._columns.files[here] > 0)
        self._untagged += int(np.count_nonzero(untagged))
        rows, found = self.numbers.resolved(raw, raw_rows)
        kinds = self._of_groups[here][rows]
        self.by_group.add(found, kinds)
        still_open = kinds == _OPEN
        self._open.append((rows[still_open] + np.int32(self._rows), found[still_open]))
        counts = as_read[rows]
        self._by_image.add(found[counts], self._own[here][rows[counts]])
        self._rows += len(tags)

    def open_tags(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Returns the images whose group has no split yet, once for each tag, and the tags."""
        rows, tags = (np.concatenate(part) for part in zip(*self._open, strict=True))
        self._open = [(rows, tags)]
        return rows, tags

    def outcome(self, splits: NDArray[np.int8], edited: Mapping[str, ImageRow]) -> Outcome:
        rows, tags = self.open_tags()
        as_read = self._as_read[rows]
        self._by_image.add(tags[as_read], splits[rows[as_read]])
        numbers = self.numbers
        raw = self._raw.table(len(numbers.raw_tags)).ravel().tolist()
        raw_tags = Counter({tag: n for tag, n in zip(numbers.raw_tags, raw, strict=True) if n})
        counts = self._by_image.table(len(numbers.names))[:, :_OPEN].tolist()
        by_split = {
            tag: dict(zip(SPLITS, found, strict=True))
            for tag, found in zip(numbers.names, counts, strict=True)
        }
        places = self._columns.find(np.array(list(edited), ID_TYPE)).tolist()
        untagged = self._untagged
        for place, row in zip(places, edited.values(), strict=True):
            raw_tags.update(row.tags)
            untagged += not row.tags
            for tag in numbers.rules.resolve_all(row.tags):
                counts_of_tag = by_split.setdefault(tag, dict.fromkeys(SPLITS, 0))
                counts_of_tag[SPLITS[splits[place]]] += 1
        return Outcome(splits, untagged, raw_tags, by_split)


def _deal(
    counting: _Counting, groups: NDArray[np.int64], of_group: NDArray[np.int8], settings: Settings
) -> NDArray[np.int8]:
    """Returns the split of each group."""
    from scipy.sparse import coo_array

    still_open = np.flatnonzero(of_group == NO_SPLIT)
    if not len(still_open):
        return of_group
    sizes = np.bincount(groups, minlength=len(of_group))
    decided = of_group != NO_SPLIT
    there = np.bincount(of_group[decided], weights=sizes[decided], minlength=_OPEN)
    names = counting.numbers.names
    by_name = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int32)
    rank[by_name] = np.arange(len(names))
    number = np.full(len(of_group), -1, np.int32)
    number[still_open] = np.arange(len(still_open))
    rows, tags = counting.open_tags()
    labels = coo_array(
        (np.ones(len(rows), np.int32), (number[groups[rows]], rank[tags])),
        shape=(len(still_open), len(names)),
    ).tocsr()
    result = of_group.copy()
    result[still_open] = deal_out(
        sizes[still_open],
        labels,
        there.astype(np.int64),
        counting.by_group.table(len(names))[by_name, :_OPEN].T,
        split_fractions(settings),
        settings.seed,
    )
    return result
