"""Vectors at length one, between which a product is a cosine."""

import numpy as np
from numpy.typing import NDArray


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns vectors at length 1, float32 of the same shape; zeros stay zeros."""
    wide = np.ascontiguousarray(vectors, np.float32)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = wide / np.maximum(lengths, np.float32(1e-12))
    return scaled
