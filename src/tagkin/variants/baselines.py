"""Published recipes, to compare with: they know one kind of evidence each."""

import unicodedata
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import cdist

from tagkin.variants.grouping import Pair, components
from tagkin.variants.incidence import Incidence
from tagkin.variants.proposals import Evidence, Proposals, TagGroup, TagPair, group_id

JARO_WINKLER_LEAST = 0.92


def dbscan(
    incidence: Incidence, vectors: NDArray[np.floating], eps: float, min_samples: int
) -> Proposals:
    """Clusters the mean embedding of each tag with DBSCAN under the cosine distance.

    DBSCAN: Ester et al., "A Density-Based Algorithm for Discovering Clusters", KDD 1996, as in
    scikit-learn. Its known weakness here: means over many images are nearly parallel, so at the
    usual eps of 0.3 most tags, or all, fall into one cluster.

    Args:
        incidence: T tags over N images.
        vectors: (N, D) float16 or float32.
        eps: Largest cosine distance of neighbours.
        min_samples: Tags in a neighbourhood, itself included, that make a core.

    Returns:
        A pair for each member and its canonical tag; all pairs of a cluster would be T * T / 2.
    """
    from sklearn.cluster import DBSCAN

    if not incidence.names:
        return Proposals("dbscan", (), ())
    sums = np.asarray(incidence.by_tag @ vectors.astype(np.float32, copy=False))
    units = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    labels = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit(units).labels_
    clusters = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    clusters = [cluster for cluster in clusters if len(cluster) > 1]
    pairs: dict[Pair, Evidence] = {
        (cluster[0], other): {"cosine": round(float(units[cluster[0]] @ units[other]), 4)}
        for cluster in clusters
        for other in cluster[1:]
    }
    return _proposals("dbscan", incidence, clusters, pairs)


def fingerprint(incidence: Incidence) -> Proposals:
    """Joins tags with the same key collision, as OpenRefine's clustering does.

    Two keys as in its documentation (https://openrefine.org/docs/technical-reference), both
    without case, punctuation and accents: the sorted words, and the sorted pairs of letters.

    Args:
        incidence: The tags.
    """
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for node, name in enumerate(incidence.names):
        plain = unicodedata.normalize("NFKD", name.strip().lower())
        plain = "".join(c for c in plain if c.isalnum() or c.isspace())
        words = " ".join(sorted(set(plain.split())))
        joined = "".join(plain.split())
        grams = "".join(sorted({joined[i : i + 2] for i in range(len(joined) - 1)}))
        for kind, key in (("words", words), ("pairs of letters", grams)):
            if key:
                members[kind, key].append(node)
    pairs: dict[Pair, Evidence] = {}
    for (kind, _), nodes in members.items():
        for node in nodes[1:]:
            pairs.setdefault((nodes[0], node), {"same_key": kind})
    return _proposals("fingerprint", incidence, components(pairs), pairs)


def jaro_winkler(
    incidence: Incidence, least: float = JARO_WINKLER_LEAST, block: int = 1024
) -> Proposals:
    """Joins tags whose Jaro-Winkler likeness is high, whatever their images show.

    Winkler, "String Comparator Metrics and Enhanced Decision Rules in the Fellegi-Sunter Model of
    Record Linkage", 1990.

    Args:
        incidence: The tags.
        least: Least likeness.
        block: Tags compared with all others at a time.
    """
    names = incidence.names
    pairs: dict[Pair, Evidence] = {}
    for start in range(0, len(names), block):
        likeness = cdist(
            names[start : start + block],
            names,
            scorer=JaroWinkler.similarity,
            score_cutoff=least,
            dtype=np.float32,
        )
        for row, column in np.argwhere(likeness > 0).tolist():
            if start + row < column:
                value = round(float(likeness[row, column]), 4)
                pairs[start + row, column] = {"jaro_winkler": value}
    return _proposals("jarowinkler", incidence, components(pairs), pairs)


def _proposals(
    method: str, incidence: Incidence, clusters: list[list[int]], pairs: dict[Pair, Evidence]
) -> Proposals:
    names, counts = incidence.names, incidence.counts.tolist()
    groups = []
    for cluster in clusters:
        members = tuple(names[node] for node in cluster)
        groups.append(
            TagGroup(
                id=group_id(members),
                canonical=members[0],
                members=members,
                counts={names[node]: counts[node] for node in cluster},
                tier="suggested",
            )
        )
    groups.sort(key=lambda group: (-sum(group.counts.values()), group.members))
    return Proposals(
        method,
        tuple(groups),
        tuple(
            TagPair(names[a], names[b], "variant", None, {**evidence, **_counts(counts, a, b)})
            for (a, b), evidence in pairs.items()
        ),
    )


def _counts(counts: list[int], a: int, b: int) -> Evidence:
    return {"count_a": counts[a], "count_b": counts[b]}
