"""Whether a probability of 0.8 is right 8 times out of 10."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 20
#: Predictions at or above this are looked at apart.
LIKELY = 0.05


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities beside what came true, in equal-width bins from 0 to 1.

    The expected calibration error (ECE) is the mean over all predictions of the distance between
    both, taken bin by bin (Guo et al. 2017, "On Calibration of Modern Neural Networks"). A tagger
    of thousands of tags says "nearly 0" of nearly all pairs of image and tag, where nobody looks
    and little can be wrong, so that its ECE over all is small whatever it is worth. The ECE over
    the predictions of 0.05 or more tells about those that a person gets to see.

    Attributes:
        counts: int64 of shape (20,), predictions in each bin.
        predicted: float64 of shape (20,), mean probability of the bin; NaN if it is empty.
        observed: float64 of shape (20,), share that came true; NaN likewise.
    """

    counts: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error over all predictions; NaN if there are none."""
        return self._error(0)

    @property
    def ece_likely(self) -> float:
        """Expected calibration error over those of 0.05 or more; NaN if there are none."""
        return self._error(round(LIKELY * BINS))

    def _error(self, first: int) -> float:
        counts = self.counts[first:]
        if not counts.sum():
            return float("nan")
        distance = np.abs(np.nan_to_num(self.predicted - self.observed)[first:])
        return float((counts * distance).sum() / counts.sum())

    def to_dict(self) -> dict[str, Any]:
        """Returns the errors and the table as JSON types; empty bins have None."""

        def numbers(values: NDArray[np.float64]) -> list[float | None]:
            return [None if np.isnan(value) else float(value) for value in values]

        return {
            "ece": None if np.isnan(self.ece) else self.ece,
            "ece_likely": None if np.isnan(self.ece_likely) else self.ece_likely,
            "likely_from": LIKELY,
            "bins": {
                "edges": [place / BINS for place in range(BINS + 1)],
                "counts": self.counts.tolist(),
                "predicted": numbers(self.predicted),
                "observed": numbers(self.observed),
            },
        }


class ReliabilityCounts:
    """Adds up a `Reliability` block by block."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._sums = np.zeros(BINS)
        self._right = np.zeros(BINS, np.int64)

    def add(self, probabilities: NDArray[np.float32], right: NDArray[np.float32]) -> None:
        """Counts probabilities, of any shape, and those among them that came true."""
        bins = _bins(probabilities)
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, weights=probabilities.ravel(), minlength=BINS)
        self._right += np.bincount(_bins(right), minlength=BINS)

    def result(self) -> Reliability:
        """Returns what was counted."""
        with np.errstate(invalid="ignore"):
            means = self._sums / self._counts
            observed = self._right / self._counts
        return Reliability(self._counts, means, observed)


def _bins(probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
    # A hair above, so that 0.05 in float32 is not below 1/20.
    places = (probabilities.ravel() * np.float32(BINS) + np.float32(1e-6)).astype(np.intp)
    return np.clip(places, 0, BINS - 1)
