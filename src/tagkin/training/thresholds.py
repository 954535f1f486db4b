"""A threshold for each tag, chosen on the validation images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.training.rankings import TagRankings, rank_tags
from tagkin.training.score_blocks import ScoreBlocks

# A tag's own threshold weighs as many votes as it has positive images; the global one has these.
_GLOBAL_VOTES = 10.0


def choose_thresholds(
    labels: Any,
    scores: ScoreBlocks | NDArray[Any],
    *,
    rankings: TagRankings | None = None,
) -> NDArray[np.float32]:
    """Returns thresholds that maximise F1, drawn to a global one where images are few.

    Args:
        labels: Sparse of shape (images, tags), of images not trained on; a stored entry means that
            the tag is there.
        scores: Probabilities of shape (images, tags).
        rankings: Of the same labels and scores, if they are known, which spares a walk.

    Returns:
        float32 of shape (tags,), in 0..1. A tag without positive images gets the global
        threshold, which maximises F1 over all decisions, or 0.5 if no tag is on any image.
    """
    rankings = rankings or rank_tags(labels, scores)
    overall = rankings.histogram.best_cut()
    share = rankings.positives / (rankings.positives + _GLOBAL_VOTES)
    own = np.where(rankings.positives > 0, rankings.best_cut, overall)
    # Probabilities are averaged as log odds: 0.02 and 0.2 differ more than 0.5 and 0.6.
    log_odds = share * _logit(own) + (1 - share) * _logit(np.float64(overall))
    drawn = 1 / (1 + np.exp(-log_odds))
    result: NDArray[np.float32] = np.where(share > 0, drawn, overall).astype(np.float32)
    return result


def _logit(p: Any) -> Any:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))
