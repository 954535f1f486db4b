"""Compares a tagger's probabilities with what is there."""

from typing import Any

from numpy.typing import NDArray

from tagkin.reliability import Reliability, ReliabilityCounts
from tagkin.training.score_blocks import ScoreBlocks, presence


def reliability(labels: Any, probabilities: ScoreBlocks | NDArray[Any]) -> Reliability:
    """Compares probabilities with what is there.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.
        probabilities: Shape (images, tags).
    """
    present = presence(labels)
    counts = ReliabilityCounts()
    for images, block in ScoreBlocks.of(probabilities).by_images():
        rows, tags = present[images].nonzero()
        counts.add(block, block[rows, tags])
    return counts.result()
