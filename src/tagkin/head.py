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

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Returns probabilities, float32 of shape (images, tags), from (images, dimension)."""
        logits = vectors.astype(np.float32) @ self.kernel + self.bias
        # exp of a large number would overflow; the sigmoid is 0 or 1 to the last bit long before.
        probabilities: NDArray[np.float32] = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
        return probabilities
