"""Turns logits into probabilities that mean what they say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.head import sigmoid
from tagkin.training.score_blocks import ScoreBlocks, presence

_LIMIT = 30.0  # logits beyond are as certain as can be
_MAX_PAIRS = 4_000_000
_LEAST_SLOPE = 0.01  # of the first feature: less would put all tags of an image into a tie

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """p = sigmoid(coefficients · features + intercept).

    Attributes:
        coefficients: One for each feature; the first is above 0, the others are not below it.
        intercept: The constant.
        fitted: Whether they were learnt; if not, they are (1, 0, ...) and 0.
    """

    coefficients: tuple[float, ...] = (1.0,)
    intercept: float = 0.0
    fitted: bool = False

    def probabilities(self, *features: ScoreBlocks) -> ScoreBlocks:
        """Returns probabilities of shape (images, tags) from features of that shape.

        Raises:
            ValueError: There are not as many features as coefficients.
        """
        if len(features) != len(self.coefficients):
            raise ValueError(f"{len(features)} features for {len(self.coefficients)} coefficients")

        def block(images: slice, tags: slice) -> NDArray[np.float32]:
            total = self.combine(*(feature.block(images, tags) for feature in features))
            return sigmoid(total)

        return ScoreBlocks(features[0].shape, block)

    def combine(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns calibrated logits, float32, from arrays of one shape, one for each feature.

        What is infinite counts as ±30, what is not a number as -30.
        """
        total = np.full(features[0].shape, self.intercept, np.float32)
        for coefficient, feature in zip(self.coefficients, features, strict=True):
            total += np.float32(coefficient) * _finite(feature)
        return total

    def to_dict(self) -> dict[str, Any]:
        """Returns the calibration as JSON types."""
        return {**self.__dict__, "coefficients": list(self.coefficients)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Calibration":
        """Reads what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        coefficients = tuple(float(value) for value in content["coefficients"])
        if not coefficients or not np.isfinite([*coefficients, content["intercept"]]).all():
            raise ValueError("a calibration needs finite coefficients")
        return cls(coefficients, float(content["intercept"]), bool(content["fitted"]))


def fit_calibration(
    labels: Any,
    features: Sequence[ScoreBlocks | NDArray[Any]],
    *,
    seed: int = 0,
    max_pairs: int = _MAX_PAIRS,
) -> Calibration:
    """Learns one calibration for all tags, by maximum likelihood on pairs of an image and a tag.

    With the head's logits as the only feature this is Platt scaling (Platt 1999, "Probabilistic
    outputs for support vector machines"), his targets included: 1 and 0 are moved inward by what
    the number of examples allows to say, so that logits that part all pairs don't get an infinite
    slope. With more features it blends them into one probability.

    All pairs are used if there are no more than ``max_pairs``. Of more, those where the tag is
    there stay, and of the others a random choice, weighed so that it stands for all of them.

    Args:
        labels: Sparse of shape (images, tags), of images not trained on; a stored entry means that
            the tag is there.
        features: Log odds of shape (images, tags), the most telling first.
        seed: Of the choice.
        max_pairs: Most pairs of which features are held in memory.

    Returns:
        The calibration; the identity of the first feature if the tags are nowhere or everywhere.
    """
    from scipy.optimize import minimize

    unfitted = Calibration((1.0, *(0.0 for _ in features[1:])))
    x, there, weight = _pairs(presence(labels), features, seed, max_pairs)
    positives, negatives = weight[there].sum(), weight[~there].sum()
    if not positives or not negatives:
        return unfitted
    target = np.where(there, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    # Features of one scale, so that the optimizer's steps fit all of them.
    mean = np.average(x, axis=0, weights=weight)
    scale = np.sqrt(np.average(np.square(x - mean), axis=0, weights=weight))
    scale[scale < 1e-9] = 1.0
    x = (x - mean) / scale
    weight /= weight.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits = x @ parameters[:-1] + parameters[-1]
        values = np.logaddexp(0, logits) - target * logits
        slope = weight * (1 / (1 + np.exp(-logits)) - target)
        return float(weight @ values), np.append(slope @ x, slope.sum())

    share = positives / (positives + negatives)
    start = np.append(scale * unfitted.coefficients, np.log(share / (1 - share)))
    least = scale * [_LEAST_SLOPE, *(0.0 for _ in features[1:])]
    bounds = [*((low, None) for low in least), (None, None)]
    with np.errstate(over="ignore"):
        found = minimize(
            loss, start, jac=True, bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-9}
        ).x
    coefficients = found[:-1] / scale
    intercept = float(found[-1] - coefficients @ mean)
    if not np.isfinite([*coefficients, intercept]).all():
        return unfitted
    return Calibration(tuple(coefficients.tolist()), intercept, fitted=True)


def _pairs(
    present: Any, features: Sequence[ScoreBlocks | NDArray[Any]], seed: int, max_pairs: int
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Returns features of shape (pairs, features), whether the tag is there, and weights."""
    blocks = [ScoreBlocks.of(feature) for feature in features]
    images, tags = present.shape
    negatives = images * tags - present.nnz
    share = min(1.0, max(max_pairs - present.nnz, max_pairs // 2) / max(negatives, 1))
    rng = np.random.default_rng(seed)
    chosen: list[NDArray[np.float32]] = []
    truths: list[NDArray[np.bool_]] = []
    for some, parts in _by_images(blocks):
        truth = np.zeros((some.stop - some.start, tags), bool)
        truth[present[some].nonzero()] = True
        if share < 1:
            keep = truth.ravel().copy()
            keep[_choice(rng, len(keep), share)] = True
        else:
            keep = np.ones(truth.size, bool)
        chosen.append(np.stack([_finite(part).ravel()[keep] for part in parts], axis=1))
        truths.append(truth.ravel()[keep])
    if not chosen:
        return np.empty((0, len(blocks))), np.empty(0, bool), np.empty(0)
    there = np.concatenate(truths)
    # By how many there are, not by the share, so that the base rate is met exactly.
    weight = np.where(there, 1.0, negatives / max(1, int((~there).sum())))
    return np.concatenate(chosen).astype(np.float64), there, weight


def _by_images(blocks: Sequence[ScoreBlocks]) -> Iterator[tuple[slice, list[Any]]]:
    tags = slice(0, blocks[0].shape[1])
    for some, first in blocks[0].by_images():
        yield some, [first, *(other.block(some, tags) for other in blocks[1:])]


def _choice(rng: np.random.Generator, count: int, share: float) -> NDArray[np.int64]:
    """Returns about that share of the places below ``count``; a number for each would be slow."""
    return rng.integers(0, count, rng.binomial(count, share))


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    bounded = np.clip(values, -_LIMIT, _LIMIT)
    return np.nan_to_num(bounded, copy=False, nan=-_LIMIT)
