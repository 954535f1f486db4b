"""Learns from the collection itself what the features of content are worth.

Tags known to mean the same are made, not labelled: the images of one frequent tag are dealt to two
invented tags. Pairs of different tags are the counter-examples. A small logistic model on the two
classes at equal weight then yields a log-likelihood ratio.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from tagkin.variants.content import ContentFeatures, set_features
from tagkin.variants.incidence import Csr, Floats, Incidence, Indices, PairSets
from tagkin.variants.visual import VisualSpace

_LEAST_IMAGES = 8
_MOST_PLANTED = 400
_PLANTINGS = 2
_MOST_IMAGES = 400
"""A planted tag is sampled down to this many images, for speed."""
_LEAST_EXAMPLES = 40
_CERTAIN_WEIGHT = 0.6
_PENALTY = 0.3
_LIMITS = (-6.0, 5.0)
"""Planted variants are easier than real ones, whose taggers and styles differ, so no evidence of
content counts for more than this."""
_DEFAULTS = {
    False: (np.array([1.2, 1.1]), -1.3),
    True: (np.array([0.75, 1.8, 0.4, 0.4]), -1.4),
}
"""Coefficients and intercept without and with vectors, for collections too small to learn their
own: means of the fits to 4,500 photos (Corel-5K) and 4,300 drawings (OpenClipart)."""


@dataclass(frozen=True)
class ContentModel:
    """Turns features of content into a log-likelihood ratio.

    Attributes:
        weights: One coefficient for each column of `ContentFeatures.design`.
        intercept: The constant.
        visual: Whether the model uses vectors.
        fitted: Whether it was learnt from this collection; False for the defaults.
    """

    weights: Floats
    intercept: float
    visual: bool
    fitted: bool

    def llr(self, features: ContentFeatures) -> Floats:
        """(P,) natural-log likelihood ratio; 0 where there are too few images to compare."""
        result = np.zeros(len(features.least_side))
        seen = features.compared
        design = features.design(visual=self.visual)[seen]
        result[seen] = np.clip(design @ self.weights + self.intercept, *_LIMITS)
        return result


def fit_content(
    incidence: Incidence,
    space: VisualSpace | None,
    negatives: ContentFeatures,
    certain: ContentFeatures,
    seed: int,
) -> ContentModel:
    """Learns the model, or falls back on the defaults where examples are too few.

    Args:
        incidence: The tags and their images.
        space: Whitened vectors, or None.
        negatives: Features of pairs of tags that are unlike in spelling.
        certain: Features of pairs that a sure rule of spelling joins; weighted less than the
            planted ones, but free of their ease.
        seed: Of the plantings.
    """
    visual = space is not None
    planted = _plant(incidence, space, np.random.default_rng(seed))
    groups = [(planted, 1, 1.0), (certain, 1, _CERTAIN_WEIGHT), (negatives, 0, 1.0)]
    designs, labels, weights = [], [], []
    for features, label, weight in groups:
        design = features.design(visual=visual)[features.compared]
        if label == 1 and weight < 1 and len(design) < 5:
            continue  # a handful of pairs would be given far too much weight each
        designs.append(design)
        labels.append(np.full(len(design), label))
        weights.append(np.full(len(design), weight / max(len(design), 1)))
    y = np.concatenate(labels)
    if min((y == 1).sum(), (y == 0).sum()) < _LEAST_EXAMPLES:
        coefficients, intercept = _DEFAULTS[visual]
        return ContentModel(coefficients, intercept, visual, fitted=False)
    w = np.concatenate(weights)
    for label in (0, 1):
        w[y == label] *= 0.5 * len(y) / w[y == label].sum()
    coefficients, intercept = _logistic(np.concatenate(designs), y, w)
    return ContentModel(coefficients, intercept, visual, fitted=True)


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


def _plant(
    incidence: Incidence, space: VisualSpace | None, rng: np.random.Generator
) -> ContentFeatures:
    """Features of tags split in two, half of them at random and half along a visual sub-cluster.

    Overlap need not be planted: shared images are left out of the comparison anyway.
    """
    frequent = np.flatnonzero(incidence.counts >= _LEAST_IMAGES)
    if len(frequent) > _MOST_PLANTED:
        frequent = np.sort(rng.choice(frequent, _MOST_PLANTED, replace=False))
    tags = np.repeat(frequent, _PLANTINGS)
    first, second = [], []
    for tag in tags:
        images = incidence.by_tag[[tag]].indices.astype(np.int64)
        if len(images) > _MOST_IMAGES:
            images = np.sort(rng.choice(images, _MOST_IMAGES, replace=False))
        size = max(2, round(rng.uniform(0.1, 0.5) * len(images)))
        order = rng.permutation(len(images))
        if space is not None and rng.random() < 0.5:
            # People who prefer one spelling tend to upload one kind of picture.
            near = space.images[images] @ space.images[images[order[0]]]
            spread = float(near.std()) + 1e-6
            order = np.argsort(-near + rng.normal(0, spread, len(near)), kind="stable")
        first.append(images[order[:size]])
        second.append(images[order[size:]])
    sets = PairSets(tags, tags, _rows(first, incidence.images), _rows(second, incidence.images))
    return set_features(incidence, space, sets)


def _rows(sets: list[Indices], images: int) -> Csr:
    """One row of ones for each set of images."""
    columns = np.concatenate([*sets, np.zeros(0, np.int64)])
    starts = np.cumsum([0, *(len(members) for members in sets)])
    ones = np.ones(len(columns), np.float32)
    return sparse.csr_matrix((ones, columns, starts), shape=(len(sets), images))
