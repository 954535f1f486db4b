"""What merges buy, and how sure that is: the outcome of `merge_trial`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tagkin.json_types import to_json_types

#: The canonical tag as it is, all tags as they are, the merged tag.
Way = Literal["canonical", "spellings", "merged"]
WAYS: tuple[Way, ...] = get_args(Way)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Repeated:
    """The mean of a figure over repeated trainings, and their standard deviation.

    The deviation tells what chance in training does, not what chance in the choice of test images
    does. NaN of nothing, and the deviation of one training.
    """

    mean: float
    spread: float

    @classmethod
    def of(cls, values: Floats) -> "Repeated":
        """Sums up values of shape (repeats,)."""
        spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        return cls(float(values.mean()) if len(values) else float("nan"), spread)


@dataclass(frozen=True)
class Quality:
    """How well images are found: of one concept, as a mean over concepts, or a difference.

    Attributes:
        average_precision: Of the ranking of all test images; over concepts, the mAP.
        f1: Of the images predicted at the thresholds, which validation images chose.
    """

    average_precision: Repeated
    f1: Repeated

    @classmethod
    def of(cls, values: Floats) -> "Quality":
        """Sums up values of shape (repeats, 2)."""
        return cls(Repeated.of(values[:, 0]), Repeated.of(values[:, 1]))


@dataclass(frozen=True)
class ConceptGain:
    """What merging buys for one concept.

    Attributes:
        canonical: The tag after the merges.
        members: The tags before that become it, on the most images first.
        learnt_before: Those of them that are on enough images to be learnt. A canonical tag that
            isn't learnt counts as chance: average precision as of a random order, F1 of 0.
        learnt_after: Whether the merged tag is on enough images to be learnt.
        images_before: Images that a search for the canonical tag finds by tag before the merges.
        images_after: The same after them.
        test_images: Test images that show the concept.
        quality: For each of `WAYS`; empty if the concept is too rare to be judged, that is, not
            learnt even when merged, or on no test image.
    """

    canonical: str
    members: tuple[str, ...]
    learnt_before: tuple[str, ...]
    learnt_after: bool
    images_before: int
    images_after: int
    test_images: int
    quality: Mapping[Way, Quality]

    @property
    def images_gained(self) -> int:
        """Images that a search for the canonical tag gains."""
        return self.images_after - self.images_before


@dataclass(frozen=True)
class MergeGain:
    """What merging buys.

    Attributes:
        concepts: Those on the most images first.
        repeats: Trainings of each kind; 0 if no concept can be judged.
        test_images: Images that judged.
        quality: Means over the concepts that are judged, for each of `WAYS`.
        gain_over_canonical: How much better the merged tag is than the canonical one as it was,
            taken seed by seed.
        gain_over_spellings: The same against all tags as they were.
        untouched_before: Means over the tags that no merge touches, a control: they should hardly
            change.
        untouched_after: The same with the merges.
    """

    concepts: tuple[ConceptGain, ...]
    repeats: int
    test_images: int
    quality: Mapping[Way, Quality]
    gain_over_canonical: Quality
    gain_over_spellings: Quality
    untouched_before: Quality
    untouched_after: Quality

    @property
    def judged(self) -> tuple[ConceptGain, ...]:
        """The concepts over which means are taken."""
        return tuple(concept for concept in self.concepts if concept.quality)

    @property
    def too_rare(self) -> int:
        """Concepts that can't be judged."""
        return len(self.concepts) - len(self.judged)

    @property
    def better(self) -> int:
        """Judged concepts whose mean average precision is above that of all their spellings."""
        return sum(_precision(c, "merged") > _precision(c, "spellings") for c in self.judged)

    @property
    def worse(self) -> int:
        """Judged concepts whose mean average precision is below that of all their spellings."""
        return sum(_precision(c, "merged") < _precision(c, "spellings") for c in self.judged)

    @property
    def images_gained(self) -> int:
        """Images gained by a search for each canonical tag, in all."""
        return sum(concept.images_gained for concept in self.concepts)

    def to_dict(self) -> dict[str, Any]:
        """Returns all as JSON types; what is not known is None."""
        concepts = [{**asdict(c), "images_gained": c.images_gained} for c in self.concepts]
        counts = {
            "concepts_judged": len(self.judged),
            "concepts_too_rare": self.too_rare,
            "concepts_better": self.better,
            "concepts_worse": self.worse,
            "images_gained": self.images_gained,
        }
        found: dict[str, Any] = to_json_types({**asdict(self), "concepts": concepts, **counts})
        return found


def _precision(concept: ConceptGain, way: Way) -> float:
    return concept.quality[way].average_precision.mean
