"""Scores agree with scikit-learn's, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, f1_score

from tagkin.training.metrics import average_precision, f1_scores, score_split

SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 4))


@st.composite
def labelled(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels, and scores on few levels, so that many are equal."""
    shape = draw(SHAPE)
    labels = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    levels = draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 5)))
    return labels, (levels / 5).astype(np.float32)


@given(labelled())
@settings(max_examples=200, deadline=None)
def test_average_precision_is_scikit_learns(
    data: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    labels, scores = data
    ours = average_precision(csr_array(labels), scores)
    for tag in range(labels.shape[1]):
        if labels[:, tag].any():
            expected = average_precision_score(labels[:, tag], scores[:, tag])
            assert ours[tag] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(ours[tag])


@given(labelled(), st.floats(0, 1, width=32))
@settings(max_examples=200, deadline=None)
def test_f1_is_scikit_learns(
    data: tuple[NDArray[np.uint8], NDArray[np.float32]], threshold: float
) -> None:
    labels, scores = data
    thresholds = np.full(labels.shape[1], threshold, np.float32)
    predicted = scores >= thresholds
    micro, per_tag = f1_scores(csr_array(labels), scores, thresholds)
    truth, guess = labels.ravel(), predicted.ravel()
    assert micro == pytest.approx(f1_score(truth, guess, zero_division=0.0))
    for tag in range(labels.shape[1]):
        if labels[:, tag].any():
            expected = f1_score(labels[:, tag], predicted[:, tag], zero_division=0.0)
            assert per_tag[tag] == pytest.approx(expected)
        else:
            assert np.isnan(per_tag[tag])


def test_means_leave_out_tags_without_an_image() -> None:
    labels = csr_array(np.array([[1, 0, 0], [0, 0, 1]], np.uint8))
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32)
    result = score_split(labels, scores, np.full(3, 0.5, np.float32))
    assert (result.images, result.tags) == (2, 2)
    assert result.map == pytest.approx((1 + 1 / 2) / 2)
    assert result.macro_f1 == pytest.approx((1 + 0) / 2)


def test_more_images_than_a_byte_can_count() -> None:
    labels = csr_array(np.ones((1000, 1), np.uint8))
    scores = np.ones((1000, 1), np.float32)
    assert score_split(labels, scores, np.array([0.5], np.float32)).micro_f1 == 1


def test_a_split_without_any_tag_has_no_score() -> None:
    result = score_split(csr_array((2, 3), dtype=np.uint8), np.zeros((2, 3)), np.ones(3))
    assert np.isnan(result.map)
    assert result.tags == 0
