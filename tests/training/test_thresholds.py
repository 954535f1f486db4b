"""Thresholds: the best F1 where there is evidence, the global one where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.metrics import f1_score

from tagkin.training.metrics import f1_scores
from tagkin.training.rankings import rank_tags
from tagkin.training.score_blocks import ScoreBlocks
from tagkin.training.thresholds import choose_thresholds


def choose(labels: NDArray[np.uint8], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return choose_thresholds(csr_array(labels), scores.astype(np.float32))


def test_parts_what_can_be_parted() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 2)) < 0.5).astype(np.uint8)
    # The first tag's probabilities are all low, the second's all high.
    spread = np.array([[0.05, 0.15], [0.55, 0.95]])
    scores = np.stack([spread[tag][labels[:, tag]] for tag in range(2)], axis=1)
    thresholds = choose(labels, scores)
    assert thresholds.dtype == np.float32
    assert thresholds[0] < 0.2 < thresholds[1]
    micro, per_tag = f1_scores(csr_array(labels), scores, thresholds)
    assert micro == pytest.approx(1)
    np.testing.assert_allclose(per_tag, 1)


def test_a_tag_with_few_images_stays_near_the_others() -> None:
    rng = np.random.default_rng(1)
    labels = np.zeros((500, 3), np.uint8)
    labels[:250, 0] = 1
    labels[0, 1] = 1  # a single image, that happens to score high
    scores = np.where(labels, 0.7, 0.3) + rng.normal(0, 0.02, labels.shape)
    scores[0, 1] = 0.99
    scores[1:, 1] = 0.01
    thresholds = choose(labels, scores.clip(0, 1))
    overall = thresholds[2]  # no image at all: the global threshold
    assert 0.3 < overall < 0.7
    assert abs(thresholds[1] - overall) < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 4)])
def test_no_positive_image_at_all(shape: tuple[int, int]) -> None:
    thresholds = choose(np.zeros(shape, np.uint8), np.full(shape, 0.2))
    np.testing.assert_array_equal(thresholds, np.full(shape[1], 0.5))


def test_equal_scores_are_never_parted() -> None:
    labels = np.array([[1], [0], [1], [0]], np.uint8)
    threshold = choose(labels, np.full((4, 1), 0.4))
    assert (np.full(4, 0.4, np.float32) >= threshold[0]).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_extreme_scores_give_thresholds_from_0_to_1(value: float) -> None:
    thresholds = choose(np.ones((3, 1), np.uint8), np.full((3, 1), value))
    assert 0 <= thresholds[0] <= 1


def test_blocks_known_rankings_and_weights_give_the_same() -> None:
    rng = np.random.default_rng(3)
    labels = csr_array((rng.random((60, 7)) < 0.2).astype(np.float32))
    scores = rng.random((60, 7), np.float32)
    expected = choose_thresholds(labels, scores)
    blocks = ScoreBlocks(scores.shape, lambda i, t: scores[i, t], block_values=100)
    np.testing.assert_array_equal(choose_thresholds(labels, blocks), expected)
    rankings = rank_tags(labels, scores)
    np.testing.assert_array_equal(choose_thresholds(labels, blocks, rankings=rankings), expected)
    labels.data *= np.float32(0.1)
    np.testing.assert_array_equal(choose_thresholds(labels, scores), expected)


def test_the_global_threshold_is_the_best_over_all_decisions() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random((80, 5)) < 0.3
    scores = (np.clip(truth * 0.2 + rng.random((80, 5)) * 0.7, 0, 1)).astype(np.float32)
    truth[:, 4] = False  # gets the global threshold
    overall = choose(truth.astype(np.uint8), scores)[4]
    best = max(f1_score(truth.ravel(), scores.ravel() >= cut) for cut in np.unique(scores))
    assert f1_score(truth.ravel(), scores.ravel() >= overall) == pytest.approx(best)
