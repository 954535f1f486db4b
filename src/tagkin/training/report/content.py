"""What a report holds, and its form as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tagkin.json_types import to_json_types
from tagkin.reliability import Reliability
from tagkin.training.tag_table import TagGroup, TagRow

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ScoredSplit:
    """Scores of one phase on one split; ``scores`` as `Scores.to_dict` gives them."""

    phase: int
    split: str
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """A precision-recall curve.

    Attributes:
        name: The split's or the tag's.
        about: A few words on why it is shown; may be empty.
        average_precision: Of the tag; NaN for a curve over all tags.
        recall: In 0..1, rising.
        precision: In 0..1, as many.
    """

    name: str
    about: str
    average_precision: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True)
class ExampleTag:
    """A tag that is predicted for an image, its probability, and whether it is there."""

    tag: str
    score: float
    right: bool


@dataclass(frozen=True)
class ExampleImage:
    """An image of the validation split.

    Attributes:
        name: What the reader knows it by.
        f1: Of its tags at the thresholds.
        average_precision: Of its list of all tags.
        tags: Those it has.
        predicted: Those predicted at the thresholds, the first of its list first.
        jpeg: A small JPEG; None if it can't be shown. It isn't in the JSON.
    """

    name: str
    f1: float
    average_precision: float
    tags: tuple[str, ...]
    predicted: tuple[ExampleTag, ...]
    jpeg: bytes | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns all but the picture as JSON types."""
        return {
            "name": self.name,
            "f1": self.f1,
            "average_precision": self.average_precision,
            "tags": list(self.tags),
            "predicted": [dict(tag.__dict__) for tag in self.predicted],
        }


@dataclass(frozen=True)
class DroppedTag:
    """A tag that is not in the vocabulary, its images, and why."""

    tag: str
    images: int
    reason: Literal["too rare", "excluded"]


@dataclass(frozen=True)
class TaggerReport:
    """All that the report of a tagger shows.

    Attributes:
        tagger: Its name.
        created: Date and time in ISO 8601.
        facts: Backbone, settings and figures of the collection, in words; shown in this order.
        phase: The phase that the tagger is from.
        scores: By phase and split.
        groups: Rare, middling and frequent tags.
        history: One entry for each epoch: ``phase``, ``epoch``, and as far as they are known
            ``loss``, ``validation_loss`` and ``validation_map``.
        best_epochs: The epoch that was kept, by phase.
        micro_curves: Precision and recall over all decisions, by split.
        tag_curves: Of the most frequent, the best and the worst tags.
        reliability: Of the probabilities on validation.
        reliability_before: The same before calibration; None if there is none.
        reliability_test: The same as ``reliability`` on test; None without a test split.
        calibration: What calibration did, as JSON types.
        tags: A row for each tag.
        not_learnable: Tags within chance, as far as they have validation images.
        few_training_images: Tags with hardly any training images, and how many.
        dropped: Tags that are not in the vocabulary.
        best: The validation images with the best scores.
        worst: Those with the worst.
    """

    tagger: str
    created: str
    facts: Mapping[str, Any]
    phase: int
    scores: tuple[ScoredSplit, ...]
    groups: tuple[TagGroup, ...]
    history: tuple[Mapping[str, Any], ...]
    best_epochs: Mapping[int, int]
    micro_curves: tuple[Curve, ...]
    tag_curves: tuple[Curve, ...]
    reliability: Reliability
    reliability_before: Reliability | None
    reliability_test: Reliability | None
    calibration: Mapping[str, Any] | None
    tags: tuple[TagRow, ...]
    not_learnable: tuple[str, ...]
    few_training_images: tuple[tuple[str, int], ...]
    dropped: tuple[DroppedTag, ...]
    best: tuple[ExampleImage, ...]
    worst: tuple[ExampleImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report without pictures as JSON types; what is unknown is None."""

        def measured(found: Reliability | None) -> Any:
            return found.to_dict() if found else None

        content = {
            "format_version": FORMAT_VERSION,
            "tagger": self.tagger,
            "created": self.created,
            "facts": dict(self.facts),
            "phase": self.phase,
            "scores": [dict(split.__dict__) for split in self.scores],
            "groups": [group.to_dict() for group in self.groups],
            "history": [dict(entry) for entry in self.history],
            "best_epochs": {str(phase): epoch for phase, epoch in self.best_epochs.items()},
            "precision_recall": {
                "micro": [dict(curve.__dict__) for curve in self.micro_curves],
                "tags": [dict(curve.__dict__) for curve in self.tag_curves],
            },
            "calibration": {
                "model": self.calibration,
                "before": measured(self.reliability_before),
                "validation": measured(self.reliability),
                "test": measured(self.reliability_test),
            },
            "tags": [row.to_dict() for row in self.tags],
            "not_learnable": list(self.not_learnable),
            "few_training_images": dict(self.few_training_images),
            "dropped": [dict(dropped.__dict__) for dropped in self.dropped],
            "best_images": [image.to_dict() for image in self.best],
            "worst_images": [image.to_dict() for image in self.worst],
        }
        cleaned: dict[str, Any] = to_json_types(content)
        return cleaned
