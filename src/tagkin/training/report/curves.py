"""Precision-recall curves with few enough points for a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.training.metrics import Evaluation
from tagkin.training.rankings import TagRanking
from tagkin.training.report.content import Curve
from tagkin.training.tag_table import TagRow

_POINTS = 120
_TAG_POINTS = 60
_OF_A_KIND = 4
_LEAST_IMAGES = 10  # a curve of fewer is a staircase of luck


def micro_curve(name: str, evaluation: Evaluation) -> Curve:
    """Returns the curve over all decisions of a split."""
    _, precision, recall = evaluation.rankings.histogram.cuts()
    # Above its first few decisions a curve is noise: those of a thousandth of the recall.
    start = int(np.searchsorted(recall, 1e-3))
    return _curve(name, "", float("nan"), recall[start:], precision[start:], _POINTS)


def tag_curves(rows: Sequence[TagRow], validation: Evaluation) -> tuple[Curve, ...]:
    """Returns curves of the most frequent, the best and the worst tags on validation."""
    shown = [i for i, row in enumerate(rows) if row.validation >= _LEAST_IMAGES]
    if len(shown) < 3 * _OF_A_KIND:
        shown = [i for i, row in enumerate(rows) if row.validation > 0]
    by_score = sorted(shown, key=lambda i: -rows[i].average_precision)
    by_images = sorted(shown, key=lambda i: -rows[i].images)
    chosen: dict[int, str] = {}
    for about, order in (
        ("most frequent", by_images),
        ("best", by_score),
        ("worst", by_score[::-1]),
    ):
        free = [tag for tag in order if tag not in chosen]
        chosen.update(dict.fromkeys(free[:_OF_A_KIND], about))
    by_tag = validation.labels.tocsc()
    curves = []
    for tag, about in chosen.items():
        positives = by_tag.indices[by_tag.indptr[tag] : by_tag.indptr[tag + 1]]
        ranking = TagRanking.of(validation.probabilities.of_tag(tag), positives)
        precision, recall = ranking.precision, ranking.recall
        row = rows[tag]
        curves.append(_curve(row.tag, about, row.average_precision, recall, precision, _TAG_POINTS))
    return tuple(curves)


def _curve(
    name: str,
    about: str,
    average_precision: float,
    recall: NDArray[Any],
    precision: NDArray[Any],
    points: int,
) -> Curve:
    """Keeps the first points that reach evenly spaced recalls, up to the greatest."""
    if len(recall):
        wanted = np.linspace(recall[0], recall[-1], points)
        keep = np.unique(np.searchsorted(recall, wanted - 1e-12))
        recall, precision = recall[keep], precision[keep]
    rounded = (tuple(values.round(4).tolist()) for values in (recall, precision))
    return Curve(name, about, average_precision, *rounded)
