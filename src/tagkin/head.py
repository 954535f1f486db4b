"""The head of a tagger: one dense sigmoid layer on a backbone's vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Head:
    """A trained head.

    Attributes:
        kernel: float32 of shape (dimension, tags).
        bias: float32 of shape (tags,).
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Returns log odds, float32 of shape (images, tags), from (images, dimension)."""
        logits: NDArray[np.float32] = vectors.astype(np.float32) @ self.kernel + self.bias
        return logits

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Returns probabilities, float32 of shape (images, tags), from (images, dimension)."""
        return sigmoid(self.logits(vectors))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns probabilities of log odds, float32 of the same shape."""
    # exp of a large number would overflow; the sigmoid is 0 or 1 to the last bit long before.
    exponential = np.exp(-np.clip(logits, -60, 60))
    exponential += 1
    probabilities: NDArray[np.float32] = np.reciprocal(exponential, dtype=np.float32)
    return probabilities


def margins(
    scores: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Returns how far probabilities are above the thresholds, as a difference of log odds.

    A frequent tag needs a higher probability than a rare one to say anything about an image, and
    its threshold is higher as well: ordered by margin, frequent tags don't crowd out the rare.

    Args:
        scores: Probabilities of shape (images, tags) or (tags,).
        thresholds: In 0..1, of shape (tags,).

    Returns:
        float32 of the shape of ``scores``; 0 is right at the threshold.
    """
    result: NDArray[np.float32] = _log_odds(scores) - _log_odds(thresholds)
    return result


def _log_odds(p: NDArray[Any]) -> NDArray[np.float32]:
    clipped = np.clip(p.astype(np.float32), 1e-7, 1 - 1e-7)
    odds: NDArray[np.float32] = np.log(clipped / (1 - clipped))
    return odds
