"""Rankings give the points of scikit-learn's precision-recall curve and the best cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import f1_score, precision_recall_curve

from tagkin.training.rankings import RECALL_LEVELS, TagRanking, rank_tags

SCORED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=20).filter(
    lambda pairs: any(there for _, there in pairs)
)


@given(SCORED)
@settings(deadline=None)
def test_points_are_on_scikit_learns_curve(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([level / 6 for level, _ in pairs], np.float32)
    there = np.array([there for _, there in pairs])
    ranking = TagRanking.of(scores, np.flatnonzero(there))
    precision, recall, _ = precision_recall_curve(there, scores)
    known = set(zip(precision.round(9), recall.round(9), strict=True))
    assert set(zip(ranking.precision.round(9), ranking.recall.round(9), strict=True)) <= known
    for level, value in zip(RECALL_LEVELS, ranking.interpolated, strict=True):
        points = precision[:-1][recall[:-1] >= level - 1e-9]
        assert value == pytest.approx(points.max())


@given(SCORED)
@settings(deadline=None)
def test_no_other_cut_has_a_greater_f1(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([level / 6 for level, _ in pairs], np.float32)
    there = np.array([there for _, there in pairs])
    ranking = TagRanking.of(scores, np.flatnonzero(there))
    best = f1_score(there, scores >= ranking.best_cut)
    assert best == pytest.approx(max(f1_score(there, scores >= s) for s in scores))


def test_tags_without_images_have_no_ranking() -> None:
    rankings = rank_tags(csr_array(np.array([[1, 0]])), np.array([[0.5, 0.5]], np.float32))
    np.testing.assert_array_equal(rankings.positives, [1, 0])
    np.testing.assert_array_equal(np.isnan(rankings.average_precision), [False, True])
    np.testing.assert_array_equal(np.isnan(rankings.best_cut), [False, True])
    assert np.isnan(rankings.interpolated[1]).all()
