"""Learns from the collection itself what the features of content are worth.

Tags known to mean the same are made, not labelled: the images of one frequent tag are dealt to two
invented tags. Pairs of different tags are the counter-examples. A small logistic model on the two
classes at equal weight then yields a log-likelihood ratio.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from tagkin.reliability import ReliabilityCounts
from tagkin.variants.content import ContentFeatures, Part
from tagkin.variants.incidence import Floats, Incidence, Indices
from tagkin.variants.plantings import PLANTINGS, plant_pairs
from tagkin.variants.proposals import ContentCheck
from tagkin.variants.visual import VisualSpace

_LEAST_EXAMPLES = 40
_FEWEST_CERTAIN = 5
_FOLDS = 5
_CERTAIN_WEIGHT = 0.6
_PENALTY = 0.3
_LIMITS = (-6.0, 5.0)
"""Planted variants are easier than real ones, whose taggers and styles differ, so no evidence of
content counts for more than this."""
_DEFAULTS: dict[tuple[Part, ...], tuple[Floats, float]] = {
    ("context",): (np.array([1.2, 1.1]), -1.3),
    ("visual",): (np.array([0.55, 3.0]), -1.5),
    ("context", "visual"): (np.array([0.75, 1.8, 0.4, 0.4]), -1.4),
}
"""Coefficients and intercept by what is looked at, for collections too small to learn their
own: means of the fits to 4,500 photos (Corel-5K) and 4,300 drawings (OpenClipart)."""


@dataclass(frozen=True)
class ContentModel:
    """Turns features of content into a log-likelihood ratio.

    Attributes:
        weights: One coefficient for each column of `ContentFeatures.design`.
        intercept: The constant.
        parts: What the model looks at.
        fitted: Whether it was learnt from this collection; False for the defaults.
        check: What it is worth, five-fold cross-validated; None unless it was learnt.
    """

    weights: Floats
    intercept: float
    parts: tuple[Part, ...]
    fitted: bool
    check: ContentCheck | None = None

    def llr(self, features: ContentFeatures) -> Floats:
        """(P,) natural-log likelihood ratio; 0 where there are too few images to compare."""
        result = np.zeros(len(features.least_side))
        if not self.parts:
            return result
        seen = features.compared
        design = features.design(self.parts)[seen]
        result[seen] = np.clip(design @ self.weights + self.intercept, *_LIMITS)
        return result


def fit_content(
    incidence: Incidence,
    space: VisualSpace | None,
    parts: tuple[Part, ...],
    negatives: ContentFeatures,
    certain: ContentFeatures,
    seed: int,
) -> ContentModel:
    """Learns the model, or falls back on the defaults where examples are too few.

    Args:
        incidence: The tags and their images.
        space: Whitened vectors, or None.
        parts: What to look at; none makes a model that says nothing.
        negatives: Features of pairs of tags that are unlike in spelling.
        certain: Features of pairs that a sure rule of spelling joins; weighted less than the
            planted ones, but free of their ease.
        seed: Of the plantings.
    """
    if not parts:
        return ContentModel(np.zeros(0), 0.0, parts, fitted=False)
    planted = plant_pairs(incidence, space, np.random.default_rng(seed))
    examples = _Examples.of(parts, planted, certain, negatives)
    if not examples.enough:
        coefficients, intercept = _DEFAULTS[parts]
        return ContentModel(coefficients, intercept, parts, fitted=False)
    coefficients, intercept = examples.fit()
    return ContentModel(coefficients, intercept, parts, fitted=True, check=examples.check())


@dataclass(frozen=True)
class _Examples:
    """Pairs of tags to learn from.

    Attributes:
        inputs: (P, k) float64, from `ContentFeatures.design`.
        same: (P,) int64, 1 for pairs that mean the same.
        weights: (P,) float64, of each pair within its class.
        folds: (P,) int64, the part that each pair is tested with; -1 for pairs that are only
            learned from.
    """

    inputs: Floats
    same: Indices
    weights: Floats
    folds: Indices

    @classmethod
    def of(
        cls,
        parts: tuple[Part, ...],
        planted: ContentFeatures,
        certain: ContentFeatures,
        negatives: ContentFeatures,
    ) -> "_Examples":
        """Puts the three kinds of pairs together."""
        inputs, same, weights, folds = [], [], [], []
        for features, label, weight in (
            (planted, 1, 1.0),
            (certain, 1, _CERTAIN_WEIGHT),
            (negatives, 0, 1.0),
        ):
            seen = np.flatnonzero(features.compared)
            if features is certain and len(seen) < _FEWEST_CERTAIN:
                continue  # a handful of pairs would be given far too much weight each
            inputs.append(features.design(parts)[seen])
            same.append(np.full(len(seen), label))
            weights.append(np.full(len(seen), weight / max(len(seen), 1)))
            # Both plantings of a tag are tested together, else one would give away the other.
            fold = seen // PLANTINGS % _FOLDS
            folds.append(np.full(len(seen), -1) if features is certain else fold)
        columns = (np.concatenate(column) for column in (inputs, same, weights, folds))
        return cls(*columns)

    @property
    def enough(self) -> bool:
        """Whether a model can be learned from them."""
        return bool(np.bincount(self.same, minlength=2).min() >= _LEAST_EXAMPLES)

    def fit(self, without: int | None = None) -> tuple[Floats, float]:
        """Coefficients and intercept, both classes at equal weight, one fold left out if wanted."""
        kept = np.ones(len(self.same), np.bool_) if without is None else self.folds != without
        same, weights = self.same[kept], self.weights[kept].copy()
        for label in (0, 1):
            weights[same == label] *= 0.5 * len(same) / weights[same == label].sum()
        return _logistic(self.inputs[kept], same, weights)

    def check(self) -> ContentCheck:
        """Judges each fold by the model that has not seen it."""
        tested = self.folds >= 0
        odds = np.zeros(len(self.same))
        for fold in range(_FOLDS):
            out = self.folds == fold
            coefficients, intercept = self.fit(without=fold)
            odds[out] = np.clip(self.inputs[out] @ coefficients + intercept, *_LIMITS)
        same = self.same[tested] == 1
        # The model is for classes at equal weight; here there are more of one.
        probability = expit(odds[tested] + np.log(same.sum() / (~same).sum())).astype(np.float32)
        counts = ReliabilityCounts()
        counts.add(probability, probability[same])
        return ContentCheck(
            planted=int(same.sum()),
            others=int((~same).sum()),
            roc_auc=float(roc_auc_score(same, odds[tested])),
            reliability=counts.result(),
        )


def _logistic(X: Floats, y: Floats, weights: Floats) -> tuple[Floats, float]:
    """Logistic regression with a ridge penalty and no negative coefficient.

    More alike must never make less probable; scikit-learn offers no such bound.
    """
    sign = np.where(y == 1, 1.0, -1.0)

    def loss(w: Floats) -> tuple[float, Floats]:
        margin = sign * (X @ w[:-1] + w[-1])
        slope = -weights * sign * expit(-margin)
        gradient = np.append(X.T @ slope + w[:-1] / _PENALTY, slope.sum())
        return float(
            weights @ np.logaddexp(0, -margin) + w[:-1] @ w[:-1] / (2 * _PENALTY)
        ), gradient

    bounds = [(0.0, None)] * X.shape[1] + [(None, None)]
    fit = minimize(loss, np.zeros(X.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(fit.x[:-1], np.float64), float(fit.x[-1])
