"""Which tags mean the same? Proposals from the spelling, the company and the images of tags.

The way of the data: `incidence` -> `candidates` -> `strings` and `content` (`context`, `visual`,
weighed by `calibration`) -> `scoring` -> `grouping` and `listing` -> `proposals`; `evidence` runs
it all.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tagkin.errors import SettingsError
from tagkin.variants.explain import explain
from tagkin.variants.proposals import (
    Evidence,
    Proposals,
    Relation,
    TagGroup,
    TagPair,
    Tier,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHODS: Final = ("evidence", "dbscan", "jarowinkler")

__all__ = [
    "METHODS",
    "Evidence",
    "Proposals",
    "Relation",
    "TagGroup",
    "TagPair",
    "Tier",
    "explain",
    "find_variants",
]


def find_variants(
    tags: Sequence[Sequence[str]],
    vectors: "NDArray[np.floating[Any]] | None",
    *,
    method: str = "evidence",
    min_images: int = 3,
    eps: float = 0.3,
    min_samples: int = 2,
    seed: int = 0,
) -> Proposals:
    """Proposes groups of tags that mean the same, and how other tags relate.

    ``evidence`` weighs the spelling of two tags, the tags beside them, and their images, and
    learns the worth of the last two from the collection itself. ``dbscan`` clusters the mean
    vector of each tag; ``jarowinkler`` looks at the spelling alone. Both are there to compare
    with, and give no probability. The same input and seed give the same proposals.

    Args:
        tags: For each of N images its distinct tags, already folded (case, Unicode, white space).
        vectors: (N, D) float16 or float32, finite: the embedding of each image, in the order of
            ``tags``. None compares spelling and company only, and the evidence says so.
        method: One of `METHODS`.
        min_images: Tags on fewer images are left out.
        eps: For ``dbscan``: the largest cosine distance of neighbours.
        min_samples: For ``dbscan``: tags in a neighbourhood that make a core, itself included.
        seed: Of everything random.

    Raises:
        SettingsError: The method is unknown, needs vectors that are not there, or a number is out
            of range.
        ValueError: ``vectors`` is not two-dimensional with one row for each image.
    """
    if method not in METHODS:
        raise SettingsError(
            f"there is no method {method!r} to find variants; choose from: {', '.join(METHODS)}"
        )
    if min_images < 1 or min_samples < 1 or not 0 < eps <= 2:
        raise SettingsError(
            "min_images and min_samples must be 1 or more, and eps above 0 and at most 2"
        )
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(tags)):
        raise ValueError(
            f"vectors has the shape {vectors.shape}; expected ({len(tags)}, D), a row an image"
        )
    # Imported late: SciPy and scikit-learn take a second that other commands need not wait.
    from tagkin.variants.baselines import dbscan, jaro_winkler
    from tagkin.variants.evidence import EvidenceSearch
    from tagkin.variants.incidence import build_incidence

    incidence = build_incidence(tags, min_images)
    if method == "jarowinkler":
        return jaro_winkler(incidence)
    if method == "dbscan":
        if vectors is None:
            raise SettingsError(
                "the method 'dbscan' compares vectors, and there are none: run 'tagkin embed' "
                "first, or choose the method 'evidence'"
            )
        return dbscan(incidence, vectors, eps, min_samples)
    return EvidenceSearch(incidence, vectors, seed).run()
