"""All decisions of a split in one fine histogram, however many they are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The bits of a float32 from 0 up are in the order of their values. Without the last ten they make
# bins that are a 8192th of the value wide, fine for small probabilities as for large ones.
_DROPPED_BITS = 10
_BINS = (0x3F800000 >> _DROPPED_BITS) + 1  # up to the bits of 1.0


class ScoreHistogram:
    """Counts of probabilities and of those that are right.

    Three hundred million probabilities can't be sorted in little memory; a million bins tell where
    to cut to one part in 8192, and exactly where scores lie further apart.
    """

    def __init__(self) -> None:
        self._all = np.zeros(_BINS, np.int64)
        self._right = np.zeros(_BINS, np.int64)

    def add(self, scores: NDArray[np.float32], right: NDArray[np.float32]) -> None:
        """Counts probabilities, of any shape, and those among them whose tag is there."""
        # A bincount over all bins for each tag would cost more than the tag's own scores.
        np.add.at(self._all, _bins(scores), 1)
        np.add.at(self._right, _bins(right), 1)

    def cuts(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Returns every possible cut, the highest first.

        Returns:
            Thresholds (halfway to the next lower score), precision and recall, each float64 of
            shape (cuts,); none if there is no tag at all.
        """
        total = int(self._right.sum())
        filled = np.flatnonzero(self._all)[::-1]
        if not total:
            return np.empty(0), np.empty(0), np.empty(0)
        predicted = np.cumsum(self._all[filled])
        hits = np.cumsum(self._right[filled])
        lower = _value(filled)
        # Under the lowest score there is no other: half of it.
        next_lower = np.append(_value(filled[1:] + 1), lower[-1] / 2)
        return (lower + next_lower) / 2, hits / predicted, hits / total

    def best_cut(self) -> float:
        """Returns the threshold of the greatest F1 over all decisions; 0.5 if no tag is there."""
        thresholds, precision, recall = self.cuts()
        if not len(thresholds):
            return 0.5
        with np.errstate(invalid="ignore"):
            f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
        return float(min(thresholds[int(np.argmax(f1))], 1.0))


def _bins(scores: NDArray[np.float32]) -> NDArray[Any]:
    bounded = np.abs(np.clip(scores, 0, 1)).astype(np.float32, copy=False)  # abs: no minus zero
    return np.ascontiguousarray(bounded).view(np.uint32).ravel() >> _DROPPED_BITS


def _value(bins: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the lower edges of bins."""
    bits = (bins.astype(np.uint32) << _DROPPED_BITS).view(np.float32)
    edges: NDArray[np.float64] = bits.astype(np.float64)
    return edges
