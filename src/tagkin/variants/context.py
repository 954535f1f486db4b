"""Do two sets of images keep the same company of tags?"""

import numpy as np
from scipy.special import gammaln

from tagkin.variants.incidence import Csr, Floats, Incidence, Indices, PairSets

_STRENGTH = 20.0
"""Weight, in images, of the prior that a tag is as frequent here as in the whole collection."""
_MOST_IMAGES = 60.0
"""A set counts as at most this many images: with thousands, even variants differ for certain."""
_MOST_PER_TAG = 4.0
"""One co-tag, such as the name of an uploader, must not decide alone."""
_RATE_BINS = 48


def context_features(incidence: Incidence, sets: PairSets) -> tuple[Floats, Floats]:
    """Bayes factor and cosine between the co-tags of A without B and of B without A.

    The Bayes factor compares, co-tag by co-tag, "both sets draw it at one rate" with "each draws
    it at its own"; the rates have a beta prior around the rate in the collection (beta-binomial
    model). The two tags themselves are left out.

    Args:
        incidence: The tags and their images.
        sets: P pairs of image sets, none empty.

    Returns:
        (P,) natural-log Bayes factor, positive for the same company, and (P,) cosine of the
        co-tag rates weighted by rarity.
    """
    pairs = len(sets.a)
    size_a, size_b = _sizes(sets.only_a), _sizes(sets.only_b)
    row, column, in_a, in_b = _co_counts(incidence, sets)
    rate = np.clip(incidence.counts / max(incidence.images, 1), 1e-6, 0.95)

    weight = -np.log(rate)[column]
    rate_a, rate_b = in_a / size_a[row] * weight, in_b / size_b[row] * weight
    dot = np.bincount(row, rate_a * rate_b, pairs)
    norm = np.bincount(row, rate_a**2, pairs) * np.bincount(row, rate_b**2, pairs)
    cosine = dot / np.sqrt(np.maximum(norm, 1e-12))

    scale_a, scale_b = np.minimum(1, _MOST_IMAGES / size_a), np.minimum(1, _MOST_IMAGES / size_b)
    n_a, n_b = size_a * scale_a, size_b * scale_b
    prior = _Prior(rate)
    seen = prior.log_factor(in_a * scale_a[row], in_b * scale_b[row], n_a, n_b, row, column)
    seen = np.clip(seen, -_MOST_PER_TAG, _MOST_PER_TAG)
    # Tags on neither set agree as well, a little; they are far too many to list, so sum them by
    # their rate in the collection, then take out those that were seen and the pair itself.
    sizes, which = np.unique(np.stack([n_a, n_b]), axis=1, return_inverse=True)
    absent = _absent(sizes[0], sizes[1], rate)[which.ravel()]
    unseen = absent - np.bincount(row, prior.log_absent(n_a, n_b, row, column), pairs)
    each = np.arange(pairs)
    unseen -= prior.log_absent(n_a, n_b, each, sets.a)
    unseen -= np.where(sets.a == sets.b, 0, prior.log_absent(n_a, n_b, each, sets.b))
    factor = np.bincount(row, seen, pairs) + np.maximum(unseen, 0)
    return np.asarray(factor, np.float64), np.asarray(cosine, np.float64)


def shared_company(incidence: Incidence, a: int, b: int, most: int = 3) -> list[str]:
    """Names of the co-tags that sit beside both tags more often than chance, best first."""
    of_a, of_b = (
        np.asarray(incidence.by_tag[[tag]].dot(incidence.by_image).todense()).ravel()
        / incidence.counts[tag]
        for tag in (a, b)
    )
    rate = incidence.counts / max(incidence.images, 1)
    lift = np.minimum(of_a, of_b) * np.log(np.maximum(np.minimum(of_a, of_b) / rate, 1e-9))
    lift[[a, b]] = 0
    best = np.argsort(-lift, kind="stable")[:most]
    return [incidence.names[tag] for tag in best if lift[tag] > 0.05]


def _sizes(sets: Csr) -> Floats:
    return np.asarray(np.diff(sets.indptr), np.float64)


def _co_counts(incidence: Incidence, sets: PairSets) -> tuple[Indices, Indices, Floats, Floats]:
    """Aligned counts of each co-tag seen in either set: pair, tag, count in A, count in B."""
    in_a, in_b = (side @ incidence.by_image for side in (sets.only_a, sets.only_b))
    # One number with two parts aligns them at the speed of an addition.
    both = (in_a.astype(np.complex128) + 1j * in_b).tocsr()
    row = np.repeat(np.arange(len(sets.a)), np.diff(both.indptr))
    column = both.indices.astype(np.int64)
    keep = (column != sets.a[row]) & (column != sets.b[row])
    return row[keep], column[keep], both.data.real[keep], both.data.imag[keep]


class _Prior:
    """Beta priors around the rates of T tags; log gammas are by far the most of the work.

    Args:
        rate: (T,) share of the images with each tag.
    """

    def __init__(self, rate: Floats) -> None:
        self._alpha, self._beta = _STRENGTH * rate, _STRENGTH * (1 - rate)
        self._log_alpha, self._log_beta = gammaln(self._alpha), gammaln(self._beta)

    def log_factor(
        self, k_a: Floats, k_b: Floats, n_a: Floats, n_b: Floats, row: Indices, column: Indices
    ) -> Floats:
        """(E,) log Bayes factors of E pairs ``row`` of sets and tags ``column``.

        Args:
            k_a: (E,) images with the tag in the first set.
            k_b: (E,) images with the tag in the second set.
            n_a: (P,) images in the first set.
            n_b: (P,) images in the second set.
            row: (E,) places of pairs.
            column: (E,) places of tags.
        """

        def evidence(k: Floats, n: Floats) -> Floats:
            """Log of B(alpha + k, beta + n - k) / B(alpha, beta)."""
            found = self._absent(n, row, column, k)
            some = np.flatnonzero(k)
            alpha = self._alpha[column[some]]
            found[some] += gammaln(alpha + k[some]) - self._log_alpha[column[some]]
            return found

        return evidence(k_a + k_b, n_a + n_b) - evidence(k_a, n_a) - evidence(k_b, n_b)

    def log_absent(self, n_a: Floats, n_b: Floats, row: Indices, column: Indices) -> Floats:
        """`log_factor` of tags that are in neither set."""
        whole, first, second = (self._absent(n, row, column) for n in (n_a + n_b, n_a, n_b))
        return whole - first - second

    def _absent(self, n: Floats, row: Indices, column: Indices, k: Floats | None = None) -> Floats:
        left = n[row] if k is None else n[row] - k
        found = gammaln(self._beta[column] + left) - self._log_beta[column]
        found -= (gammaln(_STRENGTH + n) - gammaln(_STRENGTH))[row]
        return np.asarray(found, np.float64)


def _absent(n_a: Floats, n_b: Floats, rate: Floats) -> Floats:
    """(P,) sum of `_Prior.log_absent` over all tags, with their rates gathered into bins."""
    logs = np.log(rate)
    edges = np.linspace(logs.min(), logs.max() + 1e-9, _RATE_BINS + 1)
    bins = np.clip(np.searchsorted(edges, logs, side="right") - 1, 0, _RATE_BINS - 1)
    members = np.bincount(bins, minlength=_RATE_BINS)
    total = np.bincount(bins, rate, _RATE_BINS)
    result = np.zeros(len(n_a))
    each = np.arange(len(n_a))
    for place in np.flatnonzero(members):
        mean = _Prior(np.array([total[place] / members[place]]))
        result += members[place] * mean.log_absent(n_a, n_b, each, np.zeros_like(each))
    return result
