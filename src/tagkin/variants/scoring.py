"""Joins the evidence of strings and of images into a probability and a relation."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tagkin.variants.incidence import Floats, Indices
from tagkin.variants.proposals import Relation

CONTAINED: Final = 0.8
COEXTENSIVE: Final = 0.6
VARIANT: Final = 0.4
"""Below one half, since a proposal that is wrong costs a look, and one not made is never seen."""
DOUBTFUL: Final = 0.1
"""Below a variant, but likely enough to be shown to somebody who asks for more."""
RELATED: Final = 2.5
"""Least content LLR of a pair worth listing for its images alone."""
_LEAST_SHARED = 3
_LEAST_LIFT = 1.5
_FLOOR = 0.03
_FLOOR_IF_SURE = 0.1
"""Share of true variants whose images are no guide (odd taggers, another style): it keeps odd
content from vetoing a sure rule. Mere likeness of strings is held to its images more closely."""
_PAIRS_PER_TAG = 0.28
_FEWEST_TAGS = 50
_RULES_MADE_AT = 500

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PairTable:
    """Evidence on P pairs of tags, before it is weighed.

    Attributes:
        a: (P,) int64, index of the tag on more images.
        b: (P,) int64, index of the other.
        count_a: (P,) int64, images of a.
        count_b: (P,) int64, images of b.
        shared: (P,) int64, images of both.
        string_llr: (P,) float64, from `strings.compare`.
        sure: (P,) bool, whether a sure rule of spelling joins them.
        vouched: (P,) bool, whether a dictionary says that both are one thing, or one abbreviates
            the other.
        content_llr: (P,) float64, 0 where the images say nothing.
    """

    a: Indices
    b: Indices
    count_a: Indices
    count_b: Indices
    shared: Indices
    string_llr: Floats
    sure: Mask
    vouched: Mask
    content_llr: Floats

    @property
    def contained(self) -> Mask:
        """(P,) bool: nearly every image of b carries a, but a is on many others."""
        return (self.shared >= CONTAINED * self.count_b) & ~self.coextensive

    @property
    def coextensive(self) -> Mask:
        """(P,) bool: both tags sit on much the same images."""
        return self.shared >= COEXTENSIVE * np.maximum(self.count_a, self.count_b)

    def lift(self, images: int) -> Floats:
        """(P,) float64: how many times more often the tags meet than by chance."""
        result: Floats = self.shared * images / np.maximum(self.count_a * self.count_b, 1)
        return result


def probabilities(table: PairTable, tags: int) -> Floats:
    """(P,) float64: the probability that each pair means the same.

    The prior is 0.14 variant pairs to a tag. Among T tags the odds for a random pair therefore
    fall as 1/T, and chance likeness of strings or images must be discounted accordingly. A plural
    is as often right among 50,000 tags as among 500, though, so the ratios of sure rules, which
    were set at about 500 tags, rise with the prior's fall.

    Args:
        table: The evidence.
        tags: T, the number of tags compared.
    """
    string = table.string_llr + np.where(
        table.sure,
        max(0.0, float(np.log(tags / _RULES_MADE_AT))) if tags else 0.0,
        # Likeness that always meets on one image is more often two aspects of it; synonyms are
        # often given together.
        np.where(table.vouched, 0.0, -3.0 * table.contained - 1.5 * table.coextensive),
    )
    floor = np.where(table.sure, _FLOOR_IF_SURE, _FLOOR)
    content = np.log((1 - floor) * np.exp(table.content_llr) + floor)
    threshold = np.log(max(tags, _FEWEST_TAGS) / _PAIRS_PER_TAG)
    odds = np.clip(string + content - threshold, -50, 50)
    result: Floats = 1 / (1 + np.exp(-odds))
    return result


def relations(table: PairTable, probability: Floats, images: int) -> list[Relation | None]:
    """The relation of each pair; None where there is nothing to tell.

    Args:
        table: The evidence.
        probability: (P,) from `probabilities`.
        images: N, the number of images.
    """
    enough = table.shared >= _LEAST_SHARED
    # In order of precedence; the first that holds is the relation.
    conditions: list[tuple[Relation, Mask]] = [
        ("variant", probability >= VARIANT),
        ("same-images", table.coextensive & enough),
        ("implication", table.contained & enough & (table.lift(images) > _LEAST_LIFT)),
        ("related", (table.content_llr >= RELATED) | (probability >= DOUBTFUL)),
    ]
    names: list[Relation | None] = [name for name, _ in conditions]
    chosen = np.select([mask for _, mask in conditions], range(len(conditions)), len(conditions))
    return [[*names, None][place] for place in chosen.tolist()]
