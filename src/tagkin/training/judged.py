"""A trained head, calibrated, with neighbours where they help, thresholds and scores."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix
from tagkin.head import Head, margins, sigmoid
from tagkin.neighbours import Neighbours
from tagkin.reliability import Reliability
from tagkin.settings import Settings
from tagkin.training.calibration import Calibration, fit_calibration
from tagkin.training.learning_set import LearningSet
from tagkin.training.metrics import Evaluation, Scores, evaluate, mean_average_precision
from tagkin.training.rankings import rank_tags
from tagkin.training.reliability import reliability
from tagkin.training.score_blocks import ScoreBlocks
from tagkin.training.thresholds import choose_thresholds


@dataclass(frozen=True)
class Judged:
    """A head that is ready for use, and what was measured of it.

    Attributes:
        head: Its logits, with those of the neighbours added, give calibrated probabilities.
        neighbours: Training images that count; None if validation mAP is no better with them.
        thresholds: float32 of shape (tags,).
        validation: On the images that chose the epoch, the calibration and the thresholds.
        test: On images that nothing was chosen by; None if there are none.
        calibration: What made logits the log odds of calibrated probabilities.
        reliability_before: On the validation images, of the head alone, before calibration.
    """

    head: Head
    neighbours: Neighbours | None
    thresholds: NDArray[np.float32]
    validation: Evaluation
    test: Evaluation | None
    calibration: Calibration
    reliability_before: Reliability

    def scores(self) -> dict[str, Scores]:
        """Returns the scores by split."""
        found = {"validation": self.validation.scores}
        return {**found, "test": self.test.scores} if self.test else found


def judge(head: Head, data: LearningSet, settings: Settings) -> Judged:
    """Calibrates a head, adds neighbours if they help, chooses thresholds and measures it all.

    Args:
        head: As it was trained.
        data: Whose training images are the neighbours, whose validation images choose and whose
            test images only judge.
        settings: How many neighbours to remember at most, and by what tags are ranked.
    """
    labels, vectors = data.labels_of("validation"), data.vectors_of("validation")
    logits = ScoreBlocks.of_logits(head, vectors)
    before = reliability(labels, ScoreBlocks.of_head(head, vectors))
    neighbours = near = calibration = None
    if settings.neighbours:
        known = _remember(data, settings.neighbours)
        unweighted = near_logits(known, vectors)
        blend = fit_calibration(labels, [logits, unweighted])
        alone = mean_average_precision(labels, logits)
        if mean_average_precision(labels, blend.probabilities(logits, unweighted)) > alone:
            calibration = blend
            neighbours = replace(known, weight=blend.coefficients[1])
            weight = np.float32(neighbours.weight)
            near = unweighted.map(lambda log_shares: weight * log_shares)
    calibration = calibration or fit_calibration(labels, [logits])
    slope = np.float32(calibration.coefficients[0])
    # A linear head takes the calibration into its own weights.
    calibrated = Head(head.kernel * slope, head.bias * slope + np.float32(calibration.intercept))
    scores = _probabilities(calibrated, near, vectors)
    rankings = rank_tags(labels, scores)
    thresholds = choose_thresholds(labels, scores, rankings=rankings)
    order = None if settings.rank == "probability" else lambda p: margins(p, thresholds)
    validation = evaluate(labels, scores, thresholds, order=order, rankings=rankings)
    test = None
    if len(data.parts["test"]):
        others = data.vectors_of("test")
        near = near_logits(neighbours, others) if neighbours else None
        held_out = _probabilities(calibrated, near, others)
        test = evaluate(data.labels_of("test"), held_out, thresholds, order=order)
    return Judged(calibrated, neighbours, thresholds, validation, test, calibration, before)


def near_logits(neighbours: Neighbours, vectors: Matrix) -> ScoreBlocks:
    """Returns what `Neighbours.logits` does, in blocks, with the nearest images looked up once."""
    from scipy.sparse import csr_array

    found = list(neighbours.nearest(vectors))
    images, tags = len(vectors), neighbours.tags
    known = len(neighbours.units)
    places = np.concatenate([p for p, _ in found]) if found else np.empty((0, 1), np.intp)
    weights = np.concatenate([w for _, w in found]) if found else np.empty((0, 1), np.float32)
    ends = np.arange(images + 1) * places.shape[1]
    nearest = csr_array((weights.ravel(), places.ravel(), ends), shape=(images, known))
    ones = np.ones(len(neighbours.columns), np.float32)
    labels = csr_array((ones, neighbours.columns, neighbours.row_ends), shape=(known, tags)).tocsc()
    weight = np.float32(neighbours.weight)

    def block(some: slice, of: slice) -> NDArray[np.float32]:
        shares = (nearest[some] @ labels[:, of]).toarray()
        logged: NDArray[np.float32] = weight * neighbours.log(shares, of)
        return logged

    return ScoreBlocks((images, tags), block)


def _remember(data: LearningSet, most: int) -> Neighbours:
    # Ids are hashes and the images are in their order, so that the first are a random choice.
    return Neighbours.of(data.vectors_of("train")[:most], data.labels_of("train")[:most])


def _probabilities(head: Head, near: ScoreBlocks | None, vectors: Matrix) -> ScoreBlocks:
    if near is None:
        return ScoreBlocks.of_head(head, vectors)
    logits = ScoreBlocks.of_logits(head, vectors)
    return ScoreBlocks(
        logits.shape, lambda some, of: sigmoid(logits.block(some, of) + near.block(some, of))
    )
