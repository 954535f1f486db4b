"""How each tag ranks the images of a split: average precision, best cut, precision and recall."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.training.histogram import ScoreHistogram
from tagkin.training.score_blocks import ScoreBlocks, presence

#: Recalls at which precision is interpolated (the eleven points of TREC and PASCAL VOC 2007).
RECALL_LEVELS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class TagRanking:
    """The images that have a tag, the highest score first.

    All are of shape (positives,). Images with the same score count as one step, as in
    scikit-learn's ``precision_recall_curve``.

    Attributes:
        scores: float32.
        ranks: int64, how many of all images score at least as much.
        hits: int64, how many of the images with the tag score at least as much.
        below: float32, the next lower score of any image; half its own if there is none.
    """

    scores: NDArray[np.float32]
    ranks: NDArray[np.int64]
    hits: NDArray[np.int64]
    below: NDArray[np.float32]

    @property
    def precision(self) -> NDArray[np.float64]:
        """Precision if images down to here are predicted."""
        return self.hits / self.ranks

    @property
    def recall(self) -> NDArray[np.float64]:
        """Recall if images down to here are predicted."""
        return self.hits / len(self.hits)

    @property
    def average_precision(self) -> float:
        """The mean of the precisions at the images with the tag."""
        return float(self.precision.mean())

    @property
    def best_cut(self) -> float:
        """The threshold of the greatest F1, halfway to the next lower score.

        F1 can be greatest only right under an image with the tag, so no other cut is tried.
        """
        f1 = 2 * self.hits / (self.ranks + len(self.hits))
        cut = int(np.argmax(f1))
        return (float(self.scores[cut]) + float(self.below[cut])) / 2

    @property
    def interpolated(self) -> NDArray[np.float64]:
        """The greatest precision at each of `RECALL_LEVELS` or a higher recall."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        return best[np.searchsorted(self.recall, RECALL_LEVELS - 1e-9)]

    @classmethod
    def of(cls, scores: NDArray[np.float32], positives: NDArray[np.integer[Any]]) -> "TagRanking":
        """Ranks the images of one tag.

        Args:
            scores: float32 of shape (images,).
            positives: The places of the images that have the tag; at least one.
        """
        ascending = np.sort(scores)
        own = np.sort(scores[positives])
        first = np.searchsorted(ascending, own, side="left")
        hits = len(own) - np.searchsorted(own, own, side="left")
        below = np.where(first > 0, ascending[first - 1], own / 2)
        return cls(own[::-1], (len(scores) - first)[::-1], hits[::-1], below[::-1])


@dataclass(frozen=True)
class TagRankings:
    """What the rankings of all tags of a split amount to.

    Attributes:
        positives: int64 of shape (tags,), images with the tag.
        average_precision: float64 of shape (tags,), NaN for a tag without positives.
        best_cut: float64 of shape (tags,), the threshold of the greatest F1; NaN likewise.
        interpolated: float32 of shape (tags, 11), precision at `RECALL_LEVELS`; NaN likewise.
        histogram: Of all scores together.
    """

    positives: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    best_cut: NDArray[np.float64]
    interpolated: NDArray[np.float32]
    histogram: ScoreHistogram


def rank_tags(labels: Any, scores: ScoreBlocks | NDArray[Any]) -> TagRankings:
    """Ranks the images of a split for each tag, in one walk over the scores.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        scores: Probabilities of shape (images, tags).
    """
    blocks = ScoreBlocks.of(scores)
    tags = blocks.shape[1]
    positives = np.zeros(tags, np.int64)
    precision, cut = np.full(tags, np.nan), np.full(tags, np.nan)
    interpolated = np.full((tags, len(RECALL_LEVELS)), np.nan, np.float32)
    histogram = ScoreHistogram()
    for tag, column, places in _columns(labels, blocks):
        histogram.add(column, column[places])
        if len(places):
            ranking = TagRanking.of(column, places)
            positives[tag] = len(places)
            precision[tag] = ranking.average_precision
            cut[tag] = ranking.best_cut
            interpolated[tag] = ranking.interpolated
    return TagRankings(positives, precision, cut, interpolated, histogram)


def average_precision(labels: Any, scores: ScoreBlocks | NDArray[Any]) -> NDArray[np.float64]:
    """Average precision of each tag: the mean of the precisions at its positive images.

    Images with the same score count as one step, as in scikit-learn's
    ``average_precision_score``.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        scores: Shape (images, tags), probabilities or logits.

    Returns:
        float64 of shape (tags,), NaN for a tag without positives.
    """
    blocks = ScoreBlocks.of(scores)
    result = np.full(blocks.shape[1], np.nan)
    for tag, column, places in _columns(labels, blocks):
        if len(places):
            result[tag] = TagRanking.of(column, places).average_precision
    return result


def _columns(
    labels: Any, blocks: ScoreBlocks
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.integer[Any]]]]:
    """Yields each tag with its scores and the places of its images."""
    by_tag = presence(labels).tocsc()
    for some, block in blocks.by_tags():
        for tag, column in enumerate(np.ascontiguousarray(block.T), some.start):
            yield tag, column, by_tag.indices[by_tag.indptr[tag] : by_tag.indptr[tag + 1]]
