"""Scores of each tag, and of groups of tags that are as frequent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.json_types import to_json_types
from tagkin.splits import Split
from tagkin.training.chance import chance_bounds
from tagkin.training.metrics import Evaluation, tag_f1

# A tag on fewer than 50 images has some 7 of them in a validation split of 15 %, where a single one
# moves recall by more than 10 points: such scores are only worth something as a mean. A tag on 500
# has 75 there, which hold its average precision to within some 5 points, and 350 to learn from.
RARE_BELOW = 50
FREQUENT_FROM = 500


@dataclass(frozen=True)
class TagRow:
    """One tag. Scores are on the validation split if nothing else is said; NaN if unknown.

    Attributes:
        tag: Its name.
        images: Images with the tag in all splits.
        train: Of those, the images trained on.
        validation: Of those, the images in the validation split.
        test: Of those, the images in the test split.
        average_precision: NaN without images in the split.
        chance: Share of the split's images that have the tag: what a random ranking gets on the
            average, but for luck.
        chance_bound: The average precision that 95 of 100 random rankings stay below.
        precision: At the threshold; NaN if the tag is never predicted.
        recall: At the threshold.
        f1: At the threshold.
        threshold: The tag's.
        test_average_precision: Average precision on the test split.
        test_f1: F1 on the test split.
        curve: Highest precision at recalls 0, 0.1 ... 1 or more.
    """

    tag: str
    images: int
    train: int
    validation: int
    test: int
    average_precision: float
    chance: float
    chance_bound: float
    precision: float
    recall: float
    f1: float
    threshold: float
    test_average_precision: float
    test_f1: float
    curve: tuple[float, ...]

    @property
    def within_chance(self) -> bool:
        """Whether shuffled scores would rank its images as well, one time out of twenty or more."""
        return self.average_precision <= self.chance_bound

    def to_dict(self) -> dict[str, Any]:
        """Returns the row as JSON types; None for what is unknown."""
        content = {key: value for key, value in self.__dict__.items() if key != "curve"}
        cleaned: dict[str, Any] = to_json_types({**content, "within_chance": self.within_chance})
        return cleaned


@dataclass(frozen=True)
class TagGroup:
    """Tags that are about as frequent.

    Attributes:
        name: ``rare``, ``middling`` or ``frequent``.
        images: What that means, in words.
        tags: Number of tags.
        scored: Those of them with images in the validation split, over which means are taken.
        map: Mean of their average precisions on validation; NaN if there is none.
        f1: Mean of their F1 at the thresholds on validation; NaN likewise.
        test_map: The same on the test split.
        test_f1: The same on the test split.
    """

    name: str
    images: str
    tags: int
    scored: int
    map: float
    f1: float
    test_map: float
    test_f1: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the group as JSON types; None for what is unknown."""
        cleaned: dict[str, Any] = to_json_types(self.__dict__)
        return cleaned


def tag_table(
    tags: Sequence[str],
    counts: Mapping[Split, NDArray[np.integer[Any]]],
    validation: Evaluation,
    test: Evaluation | None = None,
) -> list[TagRow]:
    """Returns a row for each tag, in the order of the tags.

    Args:
        tags: Names.
        counts: Images of each tag in each split, integers of shape (tags,).
        validation: What was measured on the validation split.
        test: What was measured on the test split.
    """
    images = validation.scores.images
    rankings, found = validation.rankings, validation.counts
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = found.tag_hits / found.tag_predicted
        recall = found.tag_hits / found.tag_positives
    unknown = np.full(len(tags), np.nan)
    zero = np.zeros(len(tags), np.int64)
    split = [counts.get(name, zero) for name in ("train", "validation", "test")]
    columns: dict[str, NDArray[Any]] = {
        "images": np.sum(split, axis=0),
        "train": split[0],
        "validation": split[1],
        "test": split[2],
        "average_precision": rankings.average_precision,
        "chance": rankings.positives / max(1, images),
        "chance_bound": chance_bounds(images, rankings.positives),
        "precision": precision,
        "recall": recall,
        "f1": tag_f1(found),
        "threshold": validation.thresholds,
        "test_average_precision": test.rankings.average_precision if test else unknown,
        "test_f1": tag_f1(test.counts) if test else unknown,
    }
    lists = [column.tolist() for column in columns.values()]
    curves = map(tuple, rankings.interpolated.tolist())
    return [TagRow(*row) for row in zip(tags, *lists, curves, strict=True)]


def tag_groups(rows: Sequence[TagRow]) -> list[TagGroup]:
    """Returns the rare, the middling and the frequent tags, by images in all splits."""
    limits = [
        ("rare", f"fewer than {RARE_BELOW}", 0, RARE_BELOW),
        ("middling", f"{RARE_BELOW} to {FREQUENT_FROM - 1}", RARE_BELOW, FREQUENT_FROM),
        ("frequent", f"{FREQUENT_FROM} or more", FREQUENT_FROM, float("inf")),
    ]
    groups = []
    for name, words, least, below in limits:
        own = [row for row in rows if least <= row.images < below]
        groups.append(
            TagGroup(
                name=name,
                images=words,
                tags=len(own),
                scored=sum(row.validation > 0 for row in own),
                map=_mean(row.average_precision for row in own),
                f1=_mean(row.f1 for row in own),
                test_map=_mean(row.test_average_precision for row in own),
                test_f1=_mean(row.test_f1 for row in own),
            )
        )
    return groups


def _mean(values: Any) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
