"""Makes pairs of tags that are known to mean the same, from a collection that tells of none."""

from typing import Final

import numpy as np
from scipy import sparse

from tagkin.variants.content import ContentFeatures, set_features
from tagkin.variants.incidence import Csr, Incidence, Indices, PairSets
from tagkin.variants.visual import VisualSpace

PLANTINGS: Final = 2
"""Of each tag; they stand side by side."""
_LEAST_IMAGES = 8
_MOST_PLANTED = 400
_MOST_IMAGES = 400
"""A planted tag is sampled down to this many images, for speed."""


def plant_pairs(
    incidence: Incidence, space: VisualSpace | None, rng: np.random.Generator
) -> ContentFeatures:
    """Features of tags split in two, half of them at random and half along a visual sub-cluster.

    Overlap need not be planted: shared images are left out of the comparison anyway.
    """
    frequent = np.flatnonzero(incidence.counts >= _LEAST_IMAGES)
    if len(frequent) > _MOST_PLANTED:
        frequent = np.sort(rng.choice(frequent, _MOST_PLANTED, replace=False))
    tags = np.repeat(frequent, PLANTINGS)
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
