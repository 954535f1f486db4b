"""What is decided about each image: the tags at the thresholds, and the first few of its list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.reliability import Reliability, ReliabilityCounts
from tagkin.training.score_blocks import ScoreBlocks, presence

#: Lengths of an image's list of tags at which precision and recall are measured.
LIST_LENGTHS = (1, 5, 10)
#: Tags an image gets in the usual protocol for image annotation.
WORDS = 5

#: From probabilities of shape (images, tags) to what tags are ordered by, of the same shape.
Order = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class PredictionCounts:
    """Counts of decisions, by tag and by image.

    Attributes:
        tag_positives: int64 of shape (tags,), images with the tag.
        tag_predicted: int64 of shape (tags,), images on which it is predicted at its threshold.
        tag_hits: int64 of shape (tags,), those of them that have it.
        tag_listed: int64 of shape (tags,), images on which it is among the first 5.
        tag_listed_hits: int64 of shape (tags,), those of them that have it.
        image_positives: int64 of shape (images,), tags on the image.
        image_predicted: int64 of shape (images,), tags predicted at the thresholds.
        image_hits: int64 of shape (images,), those of them that are there.
        image_listed_hits: int64 of shape (images, 3), right ones among the first 1, 5 and 10.
        image_precision: float64 of shape (images,), average precision of the image's list of all
            tags; NaN if it has no tag.
        reliability: Of the probabilities.
    """

    tag_positives: NDArray[np.int64]
    tag_predicted: NDArray[np.int64]
    tag_hits: NDArray[np.int64]
    tag_listed: NDArray[np.int64]
    tag_listed_hits: NDArray[np.int64]
    image_positives: NDArray[np.int64]
    image_predicted: NDArray[np.int64]
    image_hits: NDArray[np.int64]
    image_listed_hits: NDArray[np.int64]
    image_precision: NDArray[np.float64]
    reliability: Reliability


def count_predictions(
    labels: Any,
    scores: ScoreBlocks | NDArray[Any],
    thresholds: NDArray[np.floating[Any]],
    *,
    order: Order | None = None,
) -> PredictionCounts:
    """Counts the decisions for the images of a split, in one walk over the scores.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        scores: Probabilities of shape (images, tags).
        thresholds: Shape (tags,); a score at or above its threshold predicts the tag.
        order: What an image's tags are listed by, the highest first; by probability if None. Of
            equal ones the earlier tag, which is the more frequent, comes first.
    """
    blocks, present = ScoreBlocks.of(scores), presence(labels)
    images, tags = blocks.shape
    by_tag = {name: np.zeros(tags, np.int64) for name in ("predicted", "hits", "listed", "right")}
    predicted, hits = np.zeros(images, np.int64), np.zeros(images, np.int64)
    listed_hits = np.zeros((images, len(LIST_LENGTHS)), np.int64)
    precision = np.full(images, np.nan)
    counts = ReliabilityCounts()
    cut = np.asarray(thresholds, np.float32)
    for some, block in blocks.by_images():
        truth = present[some]
        rows, columns = truth.nonzero()
        own = block[rows, columns]
        counts.add(block, own)
        decided = block >= cut
        by_tag["predicted"] += decided.sum(axis=0)
        predicted[some] = decided.sum(axis=1)
        right = own >= cut[columns]
        by_tag["hits"] += np.bincount(columns[right], minlength=tags)
        hits[some] = np.bincount(rows[right], minlength=len(block))

        keys = block if order is None else order(block)
        first = first_tags(keys, max(LIST_LENGTHS))
        found = _are_there(truth, first)
        for place, length in enumerate(LIST_LENGTHS):
            listed_hits[some, place] = found[:, :length].sum(axis=1)
        words, words_found = first[:, :WORDS].ravel(), found[:, :WORDS].ravel()
        by_tag["listed"] += np.bincount(words, minlength=tags)
        by_tag["right"] += np.bincount(words[words_found], minlength=tags)
        precision[some] = _image_precision(keys, truth)
    return PredictionCounts(
        tag_positives=np.bincount(present.indices, minlength=tags).astype(np.int64),
        tag_predicted=by_tag["predicted"],
        tag_hits=by_tag["hits"],
        tag_listed=by_tag["listed"],
        tag_listed_hits=by_tag["right"],
        image_positives=np.diff(present.indptr).astype(np.int64),
        image_predicted=predicted,
        image_hits=hits,
        image_listed_hits=listed_hits,
        image_precision=precision,
        reliability=counts.result(),
    )


def first_tags(keys: NDArray[np.float32], length: int) -> NDArray[np.intp]:
    """Returns the tags with the greatest keys, the greatest first.

    Args:
        keys: float32 of shape (images, tags).
        length: Number of tags; all if there are fewer.

    Returns:
        Integers of shape (images, length).
    """
    length = min(length, keys.shape[1])
    if not keys.size:
        return np.empty((len(keys), length), np.intp)
    # All that reach the lowest key in the list, so that of equal ones the earliest get in.
    lowest = np.partition(keys, -length, axis=1)[:, -length]
    result = np.empty((len(keys), length), np.intp)
    for row, (own, least) in enumerate(zip(keys, lowest, strict=True)):
        candidates = np.flatnonzero(own >= least)
        result[row] = candidates[np.argsort(-own[candidates], kind="stable")[:length]]
    return result


def _are_there(truth: Any, tags: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Returns which tags are on their image: bool of the shape of ``tags``, (images, any)."""
    rows, columns = truth.nonzero()
    pairs = np.arange(len(tags))[:, None] * truth.shape[1] + tags
    return np.isin(pairs, rows.astype(np.int64) * truth.shape[1] + columns)


def _image_precision(keys: NDArray[np.float32], truth: Any) -> NDArray[np.float64]:
    """Average precision of each image's list, as scikit-learn's label ranking has it."""
    result = np.full(len(keys), np.nan)
    for row, own_keys in enumerate(keys):
        own = np.sort(own_keys[truth.indices[truth.indptr[row] : truth.indptr[row + 1]]])
        if len(own):
            ranks = len(own_keys) - np.searchsorted(np.sort(own_keys), own, side="left")
            hits = len(own) - np.searchsorted(own, own, side="left")
            result[row] = (hits / ranks).mean()
    return result
