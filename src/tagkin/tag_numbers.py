"""Tags of many images as numbers, raw and as the rules see them, a batch at a time."""

from array import array
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tagkin.vocabulary import TagRules

Numbers = NDArray[np.int32]


class TagNumbers:
    """Numbers for raw tags, each of which is resolved once, and for what they stand for.

    Args:
        rules: How raw tags are resolved.
    """

    def __init__(self, rules: TagRules) -> None:
        self.rules = rules
        self._raw: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._starts, self._becomes = array("q", [0]), array("i")

    @property
    def raw_tags(self) -> tuple[str, ...]:
        """The raw tags by their numbers."""
        return tuple(self._raw)

    @property
    def names(self) -> tuple[str, ...]:
        """The resolved tags by their numbers."""
        return tuple(self._names)

    def raw(self, tags: pa.ListArray) -> Numbers:
        """Returns the number of each raw tag of some images, in order."""
        encoded = tags.flatten().dictionary_encode()
        known = self._raw
        numbers = np.array(
            [
                self._new(tag) if (number := known.get(tag)) is None else number
                for tag in encoded.dictionary.to_pylist()
            ],
            np.int32,
        )
        return np.asarray(numbers[encoded.indices.to_numpy(zero_copy_only=False)])

    def resolved(self, raw: Numbers, rows: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
        """Returns what raw tags stand for, each resolved tag once an image.

        Args:
            raw: What `raw` returned.
            rows: The image of each.

        Returns:
            Images and numbers of the resolved tags, in ascending order.
        """
        starts, becomes = np.array(self._starts), np.array(self._becomes, np.int64)
        sizes = starts[raw + 1] - starts[raw]
        # Most tags stand for one; others for none, or for some that they imply.
        nth = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        count = max(1, len(self._names))
        found = np.repeat(rows, sizes) * count + becomes[np.repeat(starts[raw], sizes) + nth]
        found.sort()
        distinct = found[np.flatnonzero(np.diff(found, prepend=-1))]
        of_row, tags = np.divmod(distinct, count)
        return of_row.astype(np.int32), tags.astype(np.int32)

    def _new(self, raw: str) -> int:
        names = self._names
        for tag in self.rules.resolve_all([raw]):
            self._becomes.append(names.setdefault(tag, len(names)))
        self._starts.append(len(self._becomes))
        self._raw[raw] = len(self._raw)
        return len(self._raw) - 1


class NumberCounts:
    """How many images of each kind have a tag, by its number.

    Args:
        kinds: How many kinds there are.
    """

    def __init__(self, kinds: int = 1) -> None:
        self._kinds = kinds
        self._counts = np.zeros(0, np.int64)

    def add(self, numbers: Numbers, kinds: NDArray[Any] | int = 0) -> None:
        """Counts an image of the given kind for each number."""
        places = numbers.astype(np.int64) * self._kinds + kinds
        found = np.bincount(places, minlength=len(self._counts))
        found[: len(self._counts)] += self._counts
        self._counts = found

    def table(self, size: int) -> NDArray[np.int64]:
        """Returns the counts of the first numbers, int64 of shape (size, kinds)."""
        counts = np.zeros((size, self._kinds), np.int64)
        counts.ravel()[: len(self._counts)] = self._counts
        return counts


def rows_of(tags: pa.ListArray) -> NDArray[np.int64]:
    """Returns the row of each tag, int64 of shape (tags,)."""
    sizes = pc.list_value_length(tags).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(tags)), sizes)
