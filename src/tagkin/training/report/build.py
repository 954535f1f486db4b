"""Puts a report together from what training measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.reliability import Reliability
from tagkin.splits import Split
from tagkin.training.metrics import Evaluation, Scores
from tagkin.training.report.content import DroppedTag, ScoredSplit, TaggerReport
from tagkin.training.report.curves import micro_curve, tag_curves
from tagkin.training.report.examples import Thumbnails, example_images
from tagkin.training.tag_table import tag_groups, tag_table
from tagkin.vocabulary import Vocabulary
from tagkin.vocabulary_report import FEW_TRAINING_IMAGES


@dataclass(frozen=True)
class Splits:
    """What was measured of the finished tagger, and of the other phase where there were two.

    Attributes:
        validation: On the images that chose epochs, thresholds and calibration.
        test: On images that nothing was chosen by; None if there are none.
        phase_1: Scores of phase 1 by split, if the finished tagger is of phase 2.
        phase_2: Scores of phase 2 by split, if there was one and the finished tagger is of phase 1
            all the same.
    """

    validation: Evaluation
    test: Evaluation | None = None
    phase_1: Mapping[str, Scores] | None = None
    phase_2: Mapping[str, Scores] | None = None


def build_report(
    tagger: str,
    vocabulary: Vocabulary,
    splits: Splits,
    counts: Mapping[Split, NDArray[np.integer[Any]]],
    *,
    facts: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]] = (),
    best_epochs: Mapping[int, int] | None = None,
    calibration: Mapping[str, Any] | None = None,
    reliability_before: Reliability | None = None,
    names: Callable[[int], str] = str,
    thumbnails: Thumbnails = lambda _: None,
    created: str | None = None,
) -> TaggerReport:
    """Puts together the report of a tagger.

    Args:
        tagger: Its name.
        vocabulary: The tags, in the order of the scores' columns, and what was left out.
        splits: What was measured.
        counts: Images of each tag in each split, integers of shape (tags,).
        facts: Backbone, settings and figures of the collection, in words, in the order in which
            they are shown.
        history: One entry for each epoch: ``epoch``, ``phase`` (1 if missing), and as far as they
            are known ``loss``, ``validation_loss`` and ``validation_map``.
        best_epochs: The epoch that was kept, by phase.
        calibration: What calibration did, as JSON types, such as `Calibration.to_dict`.
        reliability_before: On validation without calibration.
        names: From an image's place in the validation split to its name.
        thumbnails: From an image's place in the validation split to a small JPEG or None; see
            `thumbnail`. Called for some two dozen images.
        created: Date and time in ISO 8601; now if None.
    """
    validation, test = splits.validation, splits.test
    rows = tag_table(vocabulary.tags, counts, validation, test)
    best, worst = example_images(vocabulary.tags, validation, names, thumbnails)
    measured = {"validation": validation, **({"test": test} if test else {})}
    own = 2 if splits.phase_1 else 1
    by_phase = {1: splits.phase_1, 2: splits.phase_2}
    by_phase[own] = {name: evaluation.scores for name, evaluation in measured.items()}
    scores = [
        ScoredSplit(phase, name, found.to_dict())
        for phase, splits_of_it in by_phase.items()
        for name, found in (splits_of_it or {}).items()
    ]
    return TaggerReport(
        tagger=tagger,
        created=created or datetime.now(UTC).isoformat(timespec="seconds"),
        facts=facts,
        phase=own,
        scores=tuple(scores),
        groups=tuple(tag_groups(rows)),
        history=tuple({"phase": 1, **entry} for entry in history),
        best_epochs=best_epochs or {},
        micro_curves=tuple(micro_curve(name, e) for name, e in measured.items()),
        tag_curves=tag_curves(rows, validation),
        reliability=validation.counts.reliability,
        reliability_before=reliability_before,
        reliability_test=test.counts.reliability if test else None,
        calibration=calibration,
        tags=tuple(rows),
        not_learnable=tuple(row.tag for row in rows if row.within_chance),
        few_training_images=tuple((r.tag, r.train) for r in rows if r.train < FEW_TRAINING_IMAGES),
        dropped=(
            *(DroppedTag(tag, images, "too rare") for tag, images in vocabulary.too_rare.items()),
            *(DroppedTag(tag, images, "excluded") for tag, images in vocabulary.excluded.items()),
        ),
        best=best,
        worst=worst,
    )
