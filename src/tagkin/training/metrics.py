"""Scores of multi-label predictions. Tags without a positive image have no score (NaN)."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.training.counting import LIST_LENGTHS, Order, PredictionCounts, count_predictions
from tagkin.training.rankings import TagRankings, average_precision, rank_tags
from tagkin.training.score_blocks import ScoreBlocks, presence

__all__ = [
    "Evaluation",
    "Scores",
    "average_precision",
    "evaluate",
    "f1_scores",
    "mean_average_precision",
    "score_split",
    "tag_f1",
]


@dataclass(frozen=True)
class Scores:
    """Scores on one split.

    A mean over nothing is NaN. Means over tags are over those that are in the split; means over
    images are over those with at least one tag of the vocabulary, but for `example_f1`.

    Attributes:
        images: Images in the split.
        tags: Tags with at least one image in the split, over which means are taken.
        map: Mean over those tags of the average precision.
        micro_f1: F1 over all decisions at the thresholds.
        macro_f1: Mean over those tags of F1 at the thresholds.
        example_f1: Mean over the images of F1 at the thresholds, without the images that neither
            have a tag nor get one (scikit-learn's ``average="samples", zero_division=nan``).
        image_map: Mean over the images of the average precision of the image's list of all tags
            (scikit-learn's ``label_ranking_average_precision_score``).
        precision_at_1: Mean share of right tags among the first of the image's list.
        precision_at_5: The same among the first 5; of all tags, if there are fewer.
        precision_at_10: The same among the first 10.
        recall_at_1: Mean share of the image's tags that its list's first is.
        recall_at_5: The same of the first 5.
        recall_at_10: The same of the first 10.
        words_precision: The usual protocol for image annotation (Duygulu et al. 2002, Makadia et
            al. 2008): every image gets the first 5 tags of its list. Mean over the tags of the
            share of their predictions that are right, 0 for a tag that is never predicted.
        words_recall: By the same protocol, mean over the tags of the share of their images found.
        words_f1: Harmonic mean of those two.
        words_found: By the same protocol, tags found on at least one image ("N+").
        tag_coverage: Share of all tags that are predicted on some image at the thresholds.
        image_coverage: Share of the images that get at least one tag at the thresholds.
    """

    images: int
    tags: int
    map: float
    micro_f1: float
    macro_f1: float
    example_f1: float
    image_map: float
    precision_at_1: float
    precision_at_5: float
    precision_at_10: float
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    words_precision: float
    words_recall: float
    words_f1: float
    words_found: int
    tag_coverage: float
    image_coverage: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """All that is measured on one split.

    Attributes:
        labels: ``csr_array`` of shape (images, tags), 1 where the tag is there.
        probabilities: Shape (images, tags).
        thresholds: float32 of shape (tags,).
        order: What an image's tags are listed by; by probability if None.
        rankings: By tag.
        counts: By tag and by image.
        scores: The summary.
    """

    labels: Any
    probabilities: ScoreBlocks
    thresholds: NDArray[np.float32]
    order: Order | None
    rankings: TagRankings
    counts: PredictionCounts
    scores: Scores


def evaluate(
    labels: Any,
    scores: ScoreBlocks | NDArray[Any],
    thresholds: NDArray[np.floating[Any]],
    *,
    order: Order | None = None,
    rankings: TagRankings | None = None,
) -> Evaluation:
    """Measures the predictions for one split, in two walks over the scores.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        scores: Probabilities of shape (images, tags).
        thresholds: Shape (tags,); a score at or above its threshold predicts the tag.
        order: What an image's tags are listed by; see `count_predictions`.
        rankings: Of the same labels and scores, if they are known, which spares a walk.
    """
    blocks, present = ScoreBlocks.of(scores), presence(labels)
    rankings = rankings or rank_tags(present, blocks)
    counts = count_predictions(present, blocks, thresholds, order=order)
    return Evaluation(
        labels=present,
        probabilities=blocks,
        thresholds=np.asarray(thresholds, np.float32),
        order=order,
        rankings=rankings,
        counts=counts,
        scores=_summary(rankings, counts),
    )


def score_split(
    labels: Any, scores: ScoreBlocks | NDArray[Any], thresholds: NDArray[np.floating[Any]]
) -> Scores:
    """Scores the predictions for one split; see `evaluate` and `Scores`."""
    return evaluate(labels, scores, thresholds).scores


def mean_average_precision(labels: Any, scores: ScoreBlocks | NDArray[Any]) -> float:
    """Mean of the average precisions of the tags that are in a split; NaN if none is."""
    return _mean(average_precision(labels, scores))


def f1_scores(
    labels: Any, scores: ScoreBlocks | NDArray[Any], thresholds: NDArray[np.floating[Any]]
) -> tuple[float, NDArray[np.float64]]:
    """F1 at the thresholds, over all decisions and of each tag.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        scores: Shape (images, tags).
        thresholds: Shape (tags,); a score at or above its threshold predicts the tag.

    Returns:
        Micro F1, and float64 of shape (tags,), NaN for a tag without positives.
    """
    blocks, present = ScoreBlocks.of(scores), presence(labels)
    positives = np.bincount(present.indices, minlength=blocks.shape[1])
    predicted, hits = np.zeros_like(positives), np.zeros_like(positives)
    for some, block in blocks.by_images():
        rows, columns = present[some].nonzero()
        decided = block >= np.asarray(thresholds, np.float32)
        predicted += decided.sum(axis=0)
        hits += np.bincount(columns[decided[rows, columns]], minlength=len(positives))
    return _micro_f1(positives, predicted, hits), _f1(positives, predicted, hits)


def tag_f1(counts: PredictionCounts) -> NDArray[np.float64]:
    """F1 of each tag at its threshold: float64 of shape (tags,), NaN without positives."""
    return _f1(counts.tag_positives, counts.tag_predicted, counts.tag_hits)


def _summary(rankings: TagRankings, d: PredictionCounts) -> Scores:
    known = d.tag_positives > 0
    tagged = d.image_positives > 0
    found = d.tag_listed_hits[known]
    words_precision = _mean(found / np.maximum(d.tag_listed[known], 1))
    words_recall = _mean(found / d.tag_positives[known])
    total = words_precision + words_recall
    images, tags = len(tagged), len(known)
    lengths = np.minimum(LIST_LENGTHS, max(tags, 1))
    precision = d.image_listed_hits[tagged] / lengths
    recall = d.image_listed_hits[tagged] / d.image_positives[tagged, None]
    places = range(len(LIST_LENGTHS))
    at = {f"precision_at_{LIST_LENGTHS[i]}": _mean(precision[:, i]) for i in places}
    at |= {f"recall_at_{LIST_LENGTHS[i]}": _mean(recall[:, i]) for i in places}
    decided = (d.image_positives + d.image_predicted) > 0
    return Scores(
        images=images,
        tags=int(known.sum()),
        map=_mean(rankings.average_precision),
        micro_f1=_micro_f1(d.tag_positives, d.tag_predicted, d.tag_hits),
        macro_f1=_mean(tag_f1(d)),
        example_f1=_mean(
            2 * d.image_hits[decided] / (d.image_positives + d.image_predicted)[decided]
        ),
        image_map=_mean(d.image_precision),
        **at,
        words_precision=words_precision,
        words_recall=words_recall,
        words_f1=2 * words_precision * words_recall / total if total else total,
        words_found=int((found > 0).sum()),
        tag_coverage=_mean(d.tag_predicted > 0),
        image_coverage=_mean(d.image_predicted > 0),
    )


def _f1(
    positives: NDArray[Any], predicted: NDArray[Any], hits: NDArray[Any]
) -> NDArray[np.float64]:
    f1 = 2 * hits / np.maximum(positives + predicted, 1)
    return np.where(positives > 0, f1, np.nan)


def _micro_f1(positives: NDArray[Any], predicted: NDArray[Any], hits: NDArray[Any]) -> float:
    return float(2 * hits.sum() / max(int(positives.sum() + predicted.sum()), 1))


def _mean(values: NDArray[Any]) -> float:
    """The mean of what is known; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
