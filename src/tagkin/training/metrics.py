"""Scores of multi-label predictions. Tags without a positive image have no score (NaN)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Scores on one split.

    Attributes:
        images: Images in the split.
        tags: Tags with at least one image in the split, over which means are taken.
        map: Mean over those tags of the average precision.
        micro_f1: F1 over all decisions at the thresholds.
        macro_f1: Mean over those tags of F1 at the thresholds.
    """

    images: int
    tags: int
    map: float
    micro_f1: float
    macro_f1: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores as JSON types."""
        return asdict(self)


def average_precision(labels: Any, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Average precision of each tag: the mean of the precisions at its positive images.

    Images with the same score count as one step, as in scikit-learn's
    ``average_precision_score``.

    Args:
        labels: Sparse 0/1 of shape (images, tags).
        scores: Shape (images, tags).

    Returns:
        float64 of shape (tags,), NaN for a tag without positives.
    """
    columns = labels.tocsc()
    result = np.full(scores.shape[1], np.nan)
    for tag in range(scores.shape[1]):
        positives = columns.indices[columns.indptr[tag] : columns.indptr[tag + 1]]
        if not len(positives):
            continue
        ascending = np.sort(scores[:, tag])
        own = np.sort(scores[positives, tag])
        # Of all images, and of the positive ones, how many score at least as much as each positive.
        ranks = len(ascending) - np.searchsorted(ascending, own, side="left")
        hits = len(own) - np.searchsorted(own, own, side="left")
        result[tag] = (hits / ranks).mean()
    return result


def f1_scores(
    labels: Any, scores: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]
) -> tuple[float, NDArray[np.float64]]:
    """F1 at the thresholds, over all decisions and of each tag.

    Args:
        labels: Sparse 0/1 of shape (images, tags).
        scores: Shape (images, tags).
        thresholds: Shape (tags,); a score at or above its threshold predicts the tag.

    Returns:
        Micro F1, and float64 of shape (tags,), NaN for a tag without positives.
    """
    predicted = scores >= thresholds
    hits = np.asarray(labels.multiply(predicted).sum(axis=0)).ravel().astype(np.float64)
    positives = np.asarray(labels.sum(axis=0)).ravel().astype(np.float64)
    total = predicted.sum(axis=0) + positives
    with np.errstate(invalid="ignore"):
        per_tag = np.where(positives > 0, 2 * hits / np.maximum(total, 1), np.nan)
    return float(2 * hits.sum() / max(total.sum(), 1)), per_tag


def score_split(
    labels: Any, scores: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]
) -> Scores:
    """Scores the predictions for one split; see `Scores`."""
    precisions = average_precision(labels, scores)
    micro, per_tag = f1_scores(labels, scores, thresholds)
    known = ~np.isnan(precisions)
    any_known = bool(known.any())
    return Scores(
        images=scores.shape[0],
        tags=int(known.sum()),
        map=float(precisions[known].mean()) if any_known else float("nan"),
        micro_f1=micro,
        macro_f1=float(per_tag[known].mean()) if any_known else float("nan"),
    )
