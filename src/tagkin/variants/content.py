"""What the images of two tags say: features of their company and looks, for many pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tagkin.variants.context import context_features
from tagkin.variants.incidence import (
    Floats,
    Incidence,
    Indices,
    PairSets,
    pair_blocks,
    pair_sets,
)
from tagkin.variants.visual import VisualSpace, visual_features

Part = Literal["context", "visual"]

LEAST_SIDE: Final = 2
"""With fewer images on a side the images say nothing."""


@dataclass(frozen=True)
class ContentFeatures:
    """Features of P pairs; a row of NaN where a side has fewer than `LEAST_SIDE` images.

    Attributes:
        context_factor: (P,) log Bayes factor of the co-tags.
        context_cosine: (P,) cosine of the co-tag rates.
        visual_ratio: (P,) PLDA log-ratio; NaN throughout without vectors.
        visual_cosine: (P,) whitened cosine; NaN throughout without vectors.
        least_side: (P,) images on the smaller side.
    """

    context_factor: Floats
    context_cosine: Floats
    visual_ratio: Floats
    visual_cosine: Floats
    least_side: Floats

    @property
    def compared(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """(P,) bool: whether both sides have enough images."""
        return self.least_side >= LEAST_SIDE

    def rows(self, places: Indices) -> "ContentFeatures":
        """The pairs at ``places`` only."""
        return ContentFeatures(*(column[places] for column in self._columns()))

    @staticmethod
    def join(parts: Sequence["ContentFeatures"]) -> "ContentFeatures":
        """The pairs of all parts, in order."""
        columns = [part._columns() for part in parts] or [(np.zeros(0),) * 5]
        return ContentFeatures(*(np.concatenate(column) for column in zip(*columns, strict=True)))

    def _columns(self) -> tuple[Floats, ...]:
        return (
            self.context_factor,
            self.context_cosine,
            self.visual_ratio,
            self.visual_cosine,
            self.least_side,
        )

    def design(self, parts: Sequence[Part]) -> Floats:
        """(P, 2 for each part) float64: the inputs of the logistic model."""
        columns = {
            "context": (np.arcsinh(self.context_factor / 3), self.context_cosine),
            "visual": (np.arcsinh(self.visual_ratio / 3), self.visual_cosine),
        }
        return np.column_stack([column for part in parts for column in columns[part]])


def content_features(
    incidence: Incidence, space: VisualSpace | None, a: Indices, b: Indices
) -> ContentFeatures:
    """Compares A without B to B without A for each pair of tags.

    The shared images are left out: they are alike by definition, and how many there are has no
    reliable sign, since half of all true variants never meet on an image and others always do.

    Args:
        incidence: The tags and their images.
        space: Whitened vectors, or None to compare company only.
        a: (P,) int64, index of the first tag.
        b: (P,) int64, index of the second tag.
    """
    return ContentFeatures.join(
        [
            set_features(incidence, space, pair_sets(incidence, a[block], b[block]))
            for block in pair_blocks(incidence, a, b)
        ]
    )


def set_features(
    incidence: Incidence, space: VisualSpace | None, sets: PairSets
) -> ContentFeatures:
    """The same for image sets given as such."""
    least = np.minimum(np.diff(sets.only_a.indptr), np.diff(sets.only_b.indptr)).astype(float)
    enough = np.flatnonzero(least >= LEAST_SIDE)
    missing = np.full((4, len(least)), np.nan)
    if len(enough):
        full = PairSets(sets.a[enough], sets.b[enough], sets.only_a[enough], sets.only_b[enough])
        missing[0, enough], missing[1, enough] = context_features(incidence, full)
        if space is not None:
            missing[2, enough], missing[3, enough] = visual_features(space, full)
    return ContentFeatures(missing[0], missing[1], missing[2], missing[3], least)
