"""A threshold for each tag, chosen on the validation images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# A tag's own threshold weighs as many votes as it has positive images; the global one has these.
_GLOBAL_VOTES = 10.0


def choose_thresholds(labels: Any, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns thresholds that maximise F1, drawn to a global one where images are few.

    Args:
        labels: Sparse 0/1 of shape (images, tags), of images not trained on.
        scores: float32 probabilities of shape (images, tags).

    Returns:
        float32 of shape (tags,), in 0..1. A tag without positive images gets the global
        threshold, which maximises F1 over all decisions.
    """
    columns = labels.tocsc()
    flat = np.asarray(labels.toarray(), bool).ravel()
    overall = _best_threshold(flat, scores.ravel()) if flat.any() else 0.5
    result = np.full(scores.shape[1], overall, np.float32)
    for tag in range(scores.shape[1]):
        positives = columns.indices[columns.indptr[tag] : columns.indptr[tag + 1]]
        if not len(positives):
            continue
        truth = np.zeros(scores.shape[0], bool)
        truth[positives] = True
        own = _best_threshold(truth, scores[:, tag])
        share = len(positives) / (len(positives) + _GLOBAL_VOTES)
        # Probabilities are averaged as log odds: 0.02 and 0.2 differ more than 0.5 and 0.6.
        result[tag] = _sigmoid(share * _logit(own) + (1 - share) * _logit(overall))
    return result


def _best_threshold(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Returns the midpoint under the cut of the ranking at which F1 is greatest."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + truth.sum())
    f1[:-1][ranked[:-1] == ranked[1:]] = 0  # no threshold can part equal scores
    cut = int(np.argmax(f1))
    below = ranked[cut + 1] if cut + 1 < len(ranked) else ranked[cut] / 2
    return float((ranked[cut] + below) / 2)


def _logit(p: float) -> float:
    clipped = min(max(p, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
