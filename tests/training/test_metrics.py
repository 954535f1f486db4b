"""Scores agree with scikit-learn's, ties included."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    label_ranking_average_precision_score,
)

from tagkin.training.metrics import (
    average_precision,
    evaluate,
    f1_scores,
    mean_average_precision,
    score_split,
    tag_f1,
)
from tagkin.training.score_blocks import ScoreBlocks

SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 4))
Data = tuple[NDArray[np.uint8], NDArray[np.float32]]


@st.composite
def labelled(draw: st.DrawFn) -> Data:
    """Labels, and scores on few levels, so that many are equal."""
    shape = draw(SHAPE)
    labels = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    levels = draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 5)))
    return labels, (levels / 5).astype(np.float32)


@given(labelled())
@settings(max_examples=200, deadline=None)
def test_average_precision_is_scikit_learns(data: Data) -> None:
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
def test_f1_is_scikit_learns(data: Data, threshold: float) -> None:
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
    whole = evaluate(csr_array(labels), scores, thresholds)
    assert whole.scores.micro_f1 == micro
    np.testing.assert_array_equal(tag_f1(whole.counts), per_tag)


@given(labelled(), st.floats(0, 1, width=32))
@settings(max_examples=100, deadline=None)
def test_scores_by_image_are_scikit_learns(data: Data, threshold: float) -> None:
    labels, scores = data
    result = score_split(csr_array(labels), scores, np.full(labels.shape[1], threshold))
    decided = labels.any(axis=1) | (scores >= np.float32(threshold)).any(axis=1)
    if decided.any() and labels.shape[1] > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = f1_score(
                labels, scores >= np.float32(threshold), average="samples", zero_division=np.nan
            )
        assert result.example_f1 == pytest.approx(expected)
    tagged = labels.any(axis=1)
    if tagged.any() and labels.shape[1] > 1:
        expected = label_ranking_average_precision_score(labels[tagged], scores[tagged])
        assert result.image_map == pytest.approx(expected)


@given(labelled(), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_blocks_and_weights_of_labels_change_nothing(data: Data, block_values: int) -> None:
    labels, scores = data
    thresholds = np.linspace(0, 1, labels.shape[1], dtype=np.float32)
    blocks = ScoreBlocks(scores.shape, lambda i, t: scores[i, t], block_values=block_values)
    weighted = csr_array(labels).astype(np.float32)
    weighted.data *= np.float32(0.25)
    a = score_split(csr_array(labels), scores, thresholds).to_dict()
    b = score_split(weighted, blocks, thresholds).to_dict()
    assert a == pytest.approx(b, nan_ok=True)


def test_means_leave_out_tags_without_an_image() -> None:
    labels = csr_array(np.array([[1, 0, 0], [0, 0, 1]], np.uint8))
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32)
    result = score_split(labels, scores, np.full(3, 0.5, np.float32))
    assert (result.images, result.tags) == (2, 2)
    assert result.map == pytest.approx((1 + 1 / 2) / 2)
    assert result.macro_f1 == pytest.approx((1 + 0) / 2)
    assert mean_average_precision(labels, scores) == result.map


def test_lists_of_tags() -> None:
    labels = np.zeros((3, 12), np.uint8)
    labels[0, [0, 1]] = 1  # the first is its first, the second its seventh
    labels[1, [5]] = 1  # its second
    scores = np.tile(np.linspace(0.9, 0.1, 12, dtype=np.float32), (3, 1))
    scores[0, 1] = 0.44
    scores[1, 5] = 0.85
    result = score_split(csr_array(labels), scores, np.full(12, 0.5))
    # The third image has no tag, so that nothing can be right in its list.
    assert result.precision_at_1 == pytest.approx(1 / 2)
    assert result.precision_at_5 == pytest.approx((1 / 5 + 1 / 5) / 2)
    assert result.precision_at_10 == pytest.approx((2 / 10 + 1 / 10) / 2)
    assert result.recall_at_1 == pytest.approx((1 / 2 + 0) / 2)
    assert result.recall_at_5 == pytest.approx((1 / 2 + 1) / 2)
    assert result.recall_at_10 == 1


def test_a_list_is_never_longer_than_the_vocabulary() -> None:
    result = score_split(csr_array(np.ones((1, 2))), np.full((1, 2), 0.9), np.full(2, 0.5))
    assert result.precision_at_10 == result.recall_at_10 == 1


def test_five_words_an_image() -> None:
    labels = np.zeros((2, 8), np.uint8)
    labels[0, [0, 7]] = 1
    labels[1, [0, 1]] = 1
    # Both images get the words 0 to 4.
    scores = np.tile(np.linspace(0.9, 0.1, 8, dtype=np.float32), (2, 1))
    result = score_split(csr_array(labels), scores, np.full(8, 0.99))
    # Word 0 is right twice of twice; word 1 once of twice; word 7 is never predicted.
    assert result.words_precision == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert result.words_recall == pytest.approx((1 + 1 + 0) / 3)
    p, r = 1 / 2, 2 / 3
    assert result.words_f1 == pytest.approx(2 * p * r / (p + r))
    assert result.words_found == 2
    assert result.tag_coverage == result.image_coverage == 0


def test_lists_can_be_ordered_by_something_else() -> None:
    labels = csr_array(np.array([[0, 1]], np.uint8))
    scores = np.array([[0.6, 0.5]], np.float32)
    thresholds = np.array([0.9, 0.1], np.float32)
    plain = evaluate(labels, scores, thresholds)
    by_margin = evaluate(labels, scores, thresholds, order=lambda p: p - thresholds)
    assert (plain.scores.precision_at_1, by_margin.scores.precision_at_1) == (0, 1)
    assert (plain.scores.image_map, by_margin.scores.image_map) == (0.5, 1)
    assert plain.scores.micro_f1 == by_margin.scores.micro_f1


def test_coverage() -> None:
    scores = np.array([[0.9, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.1]], np.float32)
    result = score_split(csr_array(np.eye(3)), scores, np.full(3, 0.5))
    assert result.tag_coverage == pytest.approx(1 / 3)
    assert result.image_coverage == pytest.approx(2 / 3)


def test_more_images_than_a_byte_can_count() -> None:
    labels = csr_array(np.ones((1000, 1), np.uint8))
    scores = np.ones((1000, 1), np.float32)
    assert score_split(labels, scores, np.array([0.5], np.float32)).micro_f1 == 1


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), (0, 0)])
def test_a_split_without_any_tag_has_no_score(shape: tuple[int, int]) -> None:
    result = score_split(csr_array(shape, dtype=np.uint8), np.zeros(shape), np.ones(shape[1]))
    assert math.isnan(result.map)
    assert math.isnan(result.words_f1)
    assert (result.images, result.tags, result.words_found) == (shape[0], 0, 0)
