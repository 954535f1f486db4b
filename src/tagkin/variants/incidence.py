"""Which tag is on which image, as sparse matrices."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tagkin.tagged_images import ResolvedTags

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Csr = Any
"""A ``scipy.sparse.csr_matrix``; SciPy publishes no types."""


@dataclass(frozen=True)
class Incidence:
    """The tags that are common enough, and their images.

    Attributes:
        names: T tags, the most frequent first, ties by name.
        counts: (T,) int64, images of each tag.
        by_tag: (T, N) float32 CSR of ones.
        by_image: (N, T) float32 CSR, its transpose.
    """

    names: tuple[str, ...]
    counts: Indices
    by_tag: Csr
    by_image: Csr

    @property
    def images(self) -> int:
        """The number of images, N."""
        return int(self.by_image.shape[0])


@dataclass(frozen=True)
class PairSets:
    """For P pairs of tags, the images of one tag without the other.

    Attributes:
        a: (P,) int64, index of the first tag.
        b: (P,) int64, index of the second tag.
        only_a: (P, N) float32 CSR of ones.
        only_b: (P, N) float32 CSR of ones.
    """

    a: Indices
    b: Indices
    only_a: Csr
    only_b: Csr


def build_incidence(tags: Sequence[Sequence[str]], min_images: int) -> Incidence:
    """Counts the tags and keeps those on at least ``min_images`` images.

    Args:
        tags: For each image, its folded tags; a repeated or empty tag is ignored.
        min_images: Tags on fewer images are left out.
    """
    distinct = [set(image_tags) - {""} for image_tags in tags]
    counter = Counter(tag for image_tags in distinct for tag in image_tags)
    names = sorted(
        (tag for tag, count in counter.items() if count >= min_images),
        key=lambda tag: (-counter[tag], tag),
    )
    index = {tag: number for number, tag in enumerate(names)}
    columns: list[int] = []
    starts = [0]
    for image_tags in distinct:
        columns.extend(sorted(index[tag] for tag in image_tags if tag in index))
        starts.append(len(columns))
    by_image = sparse.csr_matrix(
        (np.ones(len(columns), np.float32), np.asarray(columns, np.int64), starts),
        shape=(len(distinct), len(names)),
    )
    return Incidence(
        names=tuple(names),
        counts=np.array([counter[tag] for tag in names], np.int64),
        by_tag=by_image.T.tocsr(),
        by_image=by_image,
    )


def incidence_of(resolved: ResolvedTags, min_images: int) -> Incidence:
    """Does what `build_incidence` does with tags that are arrays already."""
    counts = resolved.counts()
    names = sorted(
        (tag for tag, count in counts.items() if tag and count >= min_images),
        key=lambda tag: (-counts[tag], tag),
    )
    labels = resolved.columns(names)
    ones = np.ones(len(labels.indices), np.float32)
    by_image = sparse.csr_matrix((ones, labels.indices, labels.indptr), shape=labels.shape)
    return Incidence(
        names=tuple(names),
        counts=np.array([counts[tag] for tag in names], np.int64),
        by_tag=by_image.T.tocsr(),
        by_image=by_image,
    )


def shared_counts(incidence: Incidence, a: Indices, b: Indices) -> Indices:
    """(P,) int64: images that carry both tags of each pair."""
    shared = np.zeros(len(a), np.int64)
    for block in pair_blocks(incidence, a, b):
        both = incidence.by_tag[a[block]].multiply(incidence.by_tag[b[block]])
        shared[block] = np.asarray(both.sum(axis=1)).ravel().astype(np.int64)
    return shared


def pair_sets(incidence: Incidence, a: Indices, b: Indices) -> PairSets:
    """The exclusive image sets of each pair."""
    of_a, of_b = incidence.by_tag[a], incidence.by_tag[b]
    both = of_a.multiply(of_b).tocsr()
    only_a, only_b = (of_a - both).tocsr(), (of_b - both).tocsr()
    only_a.eliminate_zeros()
    only_b.eliminate_zeros()
    return PairSets(a, b, only_a, only_b)


def pair_blocks(
    incidence: Incidence, a: Indices, b: Indices, budget: int = 500_000
) -> Iterator[slice]:
    """Slices of the pairs whose tags have about ``budget`` images together."""
    weights = np.cumsum(incidence.counts[a] + incidence.counts[b])
    start = 0
    while start < len(a):
        base = weights[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(weights, base + budget)))
        yield slice(start, stop)
        start = stop
