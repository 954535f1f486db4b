"""All that is known of many pairs, side by side."""

from dataclasses import dataclass

import numpy as np

from tagkin.variants.content import ContentFeatures
from tagkin.variants.incidence import Floats
from tagkin.variants.scoring import PairTable
from tagkin.variants.strings import StringEvidence


@dataclass(frozen=True)
class Scored:
    """P pairs with their evidence and what came of it.

    Attributes:
        table: What the probability was made of.
        strings: P string comparisons.
        features: P comparisons of content.
        probability: (P,) float64, that the pair means the same.
    """

    table: PairTable
    strings: list[StringEvidence]
    features: ContentFeatures
    probability: Floats

    def by_pair(self) -> dict[tuple[int, int], float]:
        """The probability of each pair of tag indices (low, high)."""
        pairs = zip(self.table.a.tolist(), self.table.b.tolist(), strict=True)
        return dict(zip(pairs, self.probability.tolist(), strict=True))

    def joined(self, other: "Scored") -> "Scored":
        """The pairs of both."""
        columns = (
            np.concatenate([getattr(self.table, name), getattr(other.table, name)])
            for name in PairTable.__dataclass_fields__
        )
        return Scored(
            PairTable(*columns),
            self.strings + other.strings,
            ContentFeatures.join([self.features, other.features]),
            np.concatenate([self.probability, other.probability]),
        )
