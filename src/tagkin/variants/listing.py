"""The pairs worth showing, with their evidence as plain values."""

from collections import Counter
from collections.abc import Collection

import numpy as np

from tagkin.variants.context import shared_company
from tagkin.variants.incidence import Incidence
from tagkin.variants.proposals import Evidence, Relation, TagPair
from tagkin.variants.scored import Scored
from tagkin.variants.scoring import DOUBTFUL, relations

_LISTED_PER_TAG = 3


def list_pairs(
    incidence: Incidence,
    scored: Scored,
    *,
    vectors_given: bool,
    leave_out: Collection[tuple[int, int]] = (),
) -> list[TagPair]:
    """All variants, and of each other relation the strongest few of a tag.

    Args:
        incidence: The tags and their images.
        scored: The pairs weighed.
        vectors_given: Whether there were vectors; the evidence says if not.
        leave_out: Pairs of tag indices (low, high) that are not to be listed.
    """
    table = scored.table
    kinds = relations(table, scored.probability, incidence.images)
    order = {"variant": 0, "same-images": 1, "implication": 2, "related": 3}
    strength = {
        "variant": scored.probability,
        "same-images": table.shared / np.maximum(table.count_a, table.count_b),
        "implication": table.lift(incidence.images),
        "related": np.maximum(scored.probability, DOUBTFUL) * 100 + table.content_llr,
    }
    places = [place for place, kind in enumerate(kinds) if kind is not None]
    places.sort(
        key=lambda place: (
            order[str(kinds[place])],
            -float(strength[str(kinds[place])][place]),
            -float(table.string_llr[place]),
            int(table.a[place]),
            int(table.b[place]),
        )
    )
    listed: Counter[tuple[int, Relation]] = Counter()
    pairs = []
    for place in places:
        kind = kinds[place]
        a, b = int(table.a[place]), int(table.b[place])
        if kind is None or (a, b) in leave_out:
            continue
        if kind != "variant":
            # Everything implies "animal": the quota of an implication is its rarer tag's.
            quota = [b] if kind == "implication" else [a, b]
            if any(listed[tag, kind] >= _LISTED_PER_TAG for tag in quota):
                continue
            listed.update((tag, kind) for tag in quota)
        pairs.append(
            TagPair(
                a=incidence.names[a],
                b=incidence.names[b],
                relation=kind,
                probability=round(float(scored.probability[place]), 4),
                evidence=_evidence(incidence, scored, place, vectors_given),
            )
        )
    return pairs


def _evidence(incidence: Incidence, scored: Scored, place: int, vectors_given: bool) -> Evidence:
    table, features, found = scored.table, scored.features, scored.strings[place]
    a, b = int(table.a[place]), int(table.b[place])
    evidence: Evidence = {
        "spelling": found.spelling,
        "string_llr": round(found.llr, 2),
        "content_llr": round(float(table.content_llr[place]), 2),
        "count_a": int(table.count_a[place]),
        "count_b": int(table.count_b[place]),
        "shared": int(table.shared[place]),
        "images": "compared" if features.compared[place] else "too few apart",
    }
    if features.compared[place]:
        evidence["context"] = round(float(features.context_cosine[place]), 2)
        evidence["context_factor"] = round(float(features.context_factor[place]), 2)
        if np.isfinite(features.visual_cosine[place]):
            evidence["visual"] = round(float(features.visual_cosine[place]), 2)
            evidence["visual_ratio"] = round(float(features.visual_ratio[place]), 2)
    if not vectors_given:
        evidence["vectors"] = "none"
    if company := shared_company(incidence, a, b):
        evidence["company"] = ", ".join(company)
    return evidence
