"""What average precision a tag gets whose images are ranked at random."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SEED = 0
_DRAWS = 2000
_LEAST_DRAWS = 200
_WORK = 200_000  # ranks drawn in all; many images vary little, and need fewer draws


@lru_cache(maxsize=65536)
def chance_bound(images: int, positives: int, share: float = 0.95) -> float:
    """Returns the average precision that a random ranking stays below with that probability.

    A permutation test: a tag whose average precision is no greater has shown nothing that shuffled
    scores would not show in one tag out of twenty.

    Args:
        images: Images that are ranked.
        positives: Those of them that have the tag.
        share: The quantile.

    Returns:
        The quantile of 200 to 2,000 random rankings, the same at each call; NaN without positives.
    """
    if not positives:
        return float("nan")
    return float(np.quantile(random_precisions(images, positives), share))


def random_precisions(images: int, positives: int) -> NDArray[np.float64]:
    """Draws average precisions of random rankings without ties; see `chance_bound`."""
    draws = int(np.clip(_WORK // positives, _LEAST_DRAWS, _DRAWS))
    rng = np.random.default_rng([_SEED, images, positives])
    # How many other images lie before, between and behind those with the tag: every way to share
    # them out is as likely, and that is a multinomial with shares drawn from a flat Dirichlet. It
    # takes as many numbers as the tag has images, where shuffling would take one for each image.
    shares = rng.dirichlet(np.ones(positives + 1), draws)
    shares /= shares.sum(axis=1, keepdims=True)
    others = rng.multinomial(images - positives, shares)[:, :-1]
    hits = np.arange(1, positives + 1)
    precisions: NDArray[np.float64] = (hits / (np.cumsum(others, axis=1) + hits)).mean(axis=1)
    return precisions


def chance_bounds(images: int, positives: NDArray[np.integer]) -> NDArray[np.float64]:
    """Returns `chance_bound` for each tag: float64 of the shape of ``positives``."""
    distinct, places = np.unique(positives, return_inverse=True)
    bounds = np.array([chance_bound(images, count) for count in distinct.tolist()], np.float64)
    return bounds[places]
