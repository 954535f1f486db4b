"""Which tags mean the same? Proposals from the spelling, the company and the images of tags.

The way of the data: `incidence` -> `candidates` -> `strings` (`lexicon`, `spelling_rules`,
`spelling_model`) and `content` (`context`, `visual`,
weighed by `calibration`) -> `scoring` -> `grouping` and `listing` -> `proposals`; `evidence` runs
it all, but for pairs that were decided on, which `apart` keeps from coming back. `stored` keeps the
proposals in a library, and `deciding` takes decisions on them.
"""

from collections.abc import Mapping, Sequence
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
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tagkin.chosen_rows import StoredRows
    from tagkin.tagged_images import ResolvedTags

METHODS: Final = ("evidence", "dbscan", "fingerprint", "jarowinkler")

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
    tags: "Sequence[Sequence[str]] | ResolvedTags",
    vectors: "NDArray[np.floating[Any]] | StoredRows | None",
    *,
    method: str = "evidence",
    min_images: int = 3,
    eps: float = 0.3,
    min_samples: int = 2,
    seed: int = 0,
    apart: Mapping[frozenset[str], float | None] | None = None,
    synonyms: "Path | None" = None,
    dictionaries: bool = True,
) -> Proposals:
    """Proposes groups of tags that mean the same, and how other tags relate.

    ``evidence`` weighs the spelling of two tags, the tags beside them, and their images, and
    learns the worth of the last two from the collection itself. ``dbscan`` clusters the mean
    vector of each tag; ``fingerprint`` and ``jarowinkler`` look at the spelling alone. They are
    there to compare with, and give no probability. The same input and seed give the same proposals.

    Args:
        tags: For each of N images its distinct tags, already folded (case, Unicode, white space);
            or those of many images as arrays.
        vectors: (N, D) float16 or float32, finite: the embedding of each image, in the order of
            ``tags``, in memory or on disk. None compares spelling and company only, and the
            evidence says so.
        method: One of `METHODS`.
        min_images: Tags on fewer images are left out.
        eps: For ``dbscan``: the largest cosine distance of neighbours.
        min_samples: For ``dbscan``: tags in a neighbourhood that make a core, itself included.
        seed: Of everything random.
        apart: Pairs of tags that are known not to be variants, with the probability at which that
            was decided. They are not proposed and never in one group, unless their probability has
            risen well above that; None keeps a pair apart whatever is found.
        synonyms: For ``evidence``: your own CSV file of tags that mean the same, a group a line.
        dictionaries: For ``evidence``: look words up in what is installed on this machine; without
            them, all machines give the same proposals.

    Raises:
        SettingsError: The method is unknown, needs vectors that are not there, a number is out of
            range, or the synonyms can't be read.
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
    if vectors is not None and (len(vectors.shape) != 2 or len(vectors) != len(tags)):
        raise ValueError(
            f"vectors has the shape {vectors.shape}; expected ({len(tags)}, D), a row an image"
        )
    # Imported late: SciPy and scikit-learn take a second that other commands need not wait.
    from tagkin.chosen_rows import StoredRows
    from tagkin.tagged_images import ResolvedTags
    from tagkin.variants.apart import split_apart
    from tagkin.variants.baselines import dbscan, fingerprint, jaro_winkler
    from tagkin.variants.evidence import EvidenceSearch
    from tagkin.variants.folding import make_form
    from tagkin.variants.incidence import build_incidence, incidence_of
    from tagkin.variants.lexicon import open_lexicon

    if isinstance(tags, ResolvedTags):
        incidence = incidence_of(tags, min_images)
    else:
        incidence = build_incidence(tags, min_images)
    held = apart or {}
    if method == "jarowinkler":
        return split_apart(jaro_winkler(incidence), held)
    if method == "fingerprint":
        return split_apart(fingerprint(incidence), held)
    if method == "dbscan":
        if vectors is None:
            raise SettingsError(
                "the method 'dbscan' compares vectors, and there are none: run 'tagkin embed' "
                "first, or choose the method 'evidence'"
            )
        held_vectors = vectors.read() if isinstance(vectors, StoredRows) else vectors
        return split_apart(dbscan(incidence, held_vectors, eps, min_samples), held)
    lexicon = open_lexicon(
        [make_form(tag) for tag in incidence.names], synonyms, installed=dictionaries
    )
    return EvidenceSearch(incidence, vectors, seed, apart=held, lexicon=lexicon).run()
