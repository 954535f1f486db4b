"""The histogram cuts where sorting all decisions would."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_curve

from tagkin.training.histogram import ScoreHistogram


def histogram(scores: np.ndarray, there: np.ndarray) -> ScoreHistogram:
    result = ScoreHistogram()
    for half in (slice(0, None, 2), slice(1, None, 2)):
        result.add(scores[half], scores[half][there[half]])
    return result


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1, max_size=50))
@settings(deadline=None)
def test_every_cut_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([level / 1000 for level, _ in pairs], np.float32)
    there = np.array([there for _, there in pairs])
    counted = histogram(scores, there)
    thresholds, precision, recall = counted.cuts()
    if not there.any():
        assert len(thresholds) == 0
        assert counted.best_cut() == 0.5
        return
    expected = precision_recall_curve(there, scores)
    np.testing.assert_allclose(precision, expected[0][:-1][::-1])
    np.testing.assert_allclose(recall, expected[1][:-1][::-1])
    best = f1_score(there, scores >= counted.best_cut())
    assert best == pytest.approx(max(f1_score(there, scores >= s) for s in scores))


def test_counts_what_is_at_the_ends_or_beyond() -> None:
    scores = np.array([-0.0, 0.0, 1e-30, 1.0, 1.0000001, 2.0], np.float32)
    counted = histogram(scores, np.array([False, False, False, True, True, True]))
    thresholds, precision, recall = counted.cuts()
    assert (precision[0], recall[0]) == (1, 1)
    assert 0 < counted.best_cut() <= 1
    assert (np.diff(thresholds) < 0).all()


def test_small_probabilities_are_told_apart() -> None:
    scores = np.array([1.0e-6, 1.001e-6, 1.002e-6], np.float32)
    counted = histogram(scores, np.array([False, True, True]))
    assert 1.0e-6 < counted.best_cut() < 1.001e-6
