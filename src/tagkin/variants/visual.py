"""Do two sets of images look alike, measured where tags differ and images of one tag don't?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix, blocks
from tagkin.unit_vectors import unit
from tagkin.variants.incidence import Floats, Incidence, PairSets

_COMPONENTS = 128
_LEAST_BETWEEN = 0.02
"""Directions along which tags vary less than this, relative to images of one tag, are noise."""
_MOST_IMAGES = 30.0
_IMAGE_POWER = 0.8
"""Images of one tag are often a series, so n of them count as ``min(n, 30) ** 0.8``."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class VisualSpace:
    """Image vectors after whitening by the variation inside of tags.

    Attributes:
        images: (N, d) float32.
        between: (d,) float64, how much tags vary along each direction; images of one tag vary
            by one.
        tag_sums: (T, d) float32, sum over the images of each tag.
        units: (T, d) float32, mean of each tag, at length one.
    """

    images: Vectors
    between: Floats
    tag_sums: Vectors
    units: Vectors


def build_space(incidence: Incidence, vectors: Matrix) -> VisualSpace | None:
    """Whitens the image vectors and finds the directions that tell tags apart.

    Principal components, then the two-covariance form of probabilistic linear discriminant
    analysis (Ioffe, "Probabilistic Linear Discriminant Analysis", ECCV 2006): mean vectors of
    tags are nearly parallel in the space of a backbone, but not in this one.

    Args:
        incidence: T tags over N images.
        vectors: (N, D) float16 or float32, finite, in memory or on disk.

    Returns:
        None if there are too few tags or images to tell anything.
    """
    if len(incidence.names) < 3 or incidence.images < 8 or vectors.shape[1] < 2:
        return None
    images = _principal(vectors)
    counts = incidence.counts.astype(np.float64)
    weight = np.minimum(counts, _MOST_IMAGES) / counts
    means = (incidence.by_tag @ images).astype(np.float64) / counts[:, None]
    # Sum over tags of w * sum((x - mean)(x - mean)^T), without touching an image twice.
    image_weight = np.asarray(incidence.by_image @ weight).ravel()
    within = images.T.astype(np.float64) @ (images * image_weight[:, None].astype(np.float32))
    within -= (means * (weight * counts)[:, None]).T @ means
    within /= max(float((weight * (counts - 1)).sum()), 1.0)
    size = len(within)
    within += np.eye(size) * (1e-3 * np.trace(within) / size + 1e-9)
    values, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(np.maximum(values, 1e-9))

    centred = means @ whiten
    noise = (1 / _effective(counts)).mean()
    between = centred.T @ centred / len(centred) - noise * np.eye(size)
    values, axes = np.linalg.eigh((between + between.T) / 2)
    keep = np.flatnonzero(values > _LEAST_BETWEEN)[::-1]
    if not len(keep):
        return None
    images = images @ (whiten @ axes[:, keep]).astype(np.float32)
    sums = np.asarray(incidence.by_tag @ images, np.float32)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return VisualSpace(images, values[keep], sums, sums / np.maximum(norms, 1e-9))


def visual_features(space: VisualSpace, sets: PairSets) -> tuple[Floats, Floats]:
    """Log-ratio and cosine between the images of A without B and of B without A.

    Args:
        space: From `build_space`.
        sets: P pairs of image sets, none empty.

    Returns:
        (P,) natural-log likelihood ratio of "one tag" to "two tags" (PLDA), and (P,) cosine of
        the sets' means.
    """
    size_a = np.diff(sets.only_a.indptr).astype(np.float64)
    size_b = np.diff(sets.only_b.indptr).astype(np.float64)
    mean_a = (sets.only_a @ space.images).astype(np.float64) / size_a[:, None]
    mean_b = (sets.only_b @ space.images).astype(np.float64) / size_b[:, None]
    norm = np.linalg.norm(mean_a, axis=1) * np.linalg.norm(mean_b, axis=1)
    cosine = (mean_a * mean_b).sum(axis=1) / np.maximum(norm, 1e-9)

    shared = space.between[None, :]
    total_a = shared + (1 / _effective(size_a))[:, None]
    total_b = shared + (1 / _effective(size_b))[:, None]
    determinant = total_a * total_b - shared**2
    together = total_b * mean_a**2 - 2 * shared * mean_a * mean_b + total_a * mean_b**2
    apart = mean_a**2 / total_a + mean_b**2 / total_b
    ratio = np.log(total_a * total_b / determinant) + apart - together / determinant
    return 0.5 * ratio.sum(axis=1), cosine


def _effective(counts: Floats) -> Floats:
    result: Floats = np.minimum(counts, _MOST_IMAGES) ** _IMAGE_POWER
    return result


def _principal(vectors: Matrix) -> Vectors:
    """(N, d) float32: rows at length one, centred, on their first principal components."""
    count, width = vectors.shape
    total = np.zeros(width)
    scatter = np.zeros((width, width))
    for _, block in blocks(vectors):
        part = unit(block.astype(np.float32))
        total += part.sum(axis=0, dtype=np.float64)
        scatter += part.T @ part
    mean = total / count
    values, axes = np.linalg.eigh(scatter / count - np.outer(mean, mean))
    keep = np.argsort(-values, kind="stable")[: min(_COMPONENTS, width, count - 1)]
    # The sign of an eigenvector is arbitrary; nothing below depends on it.
    basis, centre = axes[:, keep].astype(np.float32), mean.astype(np.float32)
    projected = np.empty((count, len(keep)), np.float32)
    for rows, block in blocks(vectors):
        projected[rows] = (unit(block.astype(np.float32)) - centre) @ basis
    return projected
