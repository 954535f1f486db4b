"""A trained head, calibrated, with thresholds and scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.head import Head, margins
from tagkin.settings import Rank
from tagkin.training.calibration import Calibration, fit_calibration
from tagkin.training.learning_set import LearningSet
from tagkin.training.metrics import Evaluation, Scores, evaluate
from tagkin.training.rankings import rank_tags
from tagkin.training.reliability import Reliability, reliability
from tagkin.training.score_blocks import ScoreBlocks
from tagkin.training.thresholds import choose_thresholds


@dataclass(frozen=True)
class Judged:
    """A head that is ready for use, and what was measured of it.

    Attributes:
        head: Gives calibrated probabilities.
        thresholds: float32 of shape (tags,).
        validation: On the images that chose the epoch, the calibration and the thresholds.
        test: On images that nothing was chosen by; None if there are none.
        calibration: What made the head's logits the log odds of calibrated probabilities.
        reliability_before: On the validation images, before calibration.
    """

    head: Head
    thresholds: NDArray[np.float32]
    validation: Evaluation
    test: Evaluation | None
    calibration: Calibration
    reliability_before: Reliability

    def scores(self) -> dict[str, Scores]:
        """Returns the scores by split."""
        found = {"validation": self.validation.scores}
        return {**found, "test": self.test.scores} if self.test else found


def judge(head: Head, data: LearningSet, rank: Rank) -> Judged:
    """Calibrates a head, chooses its thresholds and measures it.

    Args:
        head: As it was trained.
        data: Whose validation images choose and whose test images only judge.
        rank: By what an image's tags are ordered.
    """
    labels, vectors = data.labels_of("validation"), data.vectors_of("validation")
    before = reliability(labels, ScoreBlocks.of_head(head, vectors))
    calibration = fit_calibration(labels, [ScoreBlocks.of_logits(head, vectors)])
    slope = np.float32(calibration.coefficients[0])
    # A linear head takes the calibration into its own weights.
    calibrated = Head(head.kernel * slope, head.bias * slope + np.float32(calibration.intercept))
    scores = ScoreBlocks.of_head(calibrated, vectors)
    rankings = rank_tags(labels, scores)
    thresholds = choose_thresholds(labels, scores, rankings=rankings)
    order = None if rank == "probability" else lambda p: margins(p, thresholds)
    validation = evaluate(labels, scores, thresholds, order=order, rankings=rankings)
    test = None
    if len(data.parts["test"]):
        held_out = ScoreBlocks.of_head(calibrated, data.vectors_of("test"))
        test = evaluate(data.labels_of("test"), held_out, thresholds, order=order)
    return Judged(calibrated, thresholds, validation, test, calibration, before)
