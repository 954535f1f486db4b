"""A distorted logit is set right again, and nothing odd breaks it."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tagkin.training.calibration import Calibration, fit_calibration
from tagkin.training.reliability import reliability
from tagkin.training.score_blocks import ScoreBlocks, sigmoid

Floats = NDArray[np.float32]


def made(seed: int, shape: tuple[int, int] = (4000, 50)) -> tuple[Any, Floats]:
    """Labels drawn from logits, whose mean makes one pair in twenty true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-4, 2, shape).astype(np.float32)
    return csr_array((rng.random(shape) < sigmoid(logits)).astype(np.float32)), logits


@pytest.mark.parametrize("max_pairs", [10**6, 60_000])
def test_a_distorted_logit_is_recovered(max_pairs: int) -> None:
    labels, logits = made(0)
    calibration = fit_calibration(labels, [logits * 3 + 5], max_pairs=max_pairs)
    assert calibration.fitted
    assert calibration.coefficients[0] == pytest.approx(1 / 3, rel=0.05)
    assert calibration.intercept == pytest.approx(-5 / 3, abs=0.12)


def test_the_calibration_error_falls_on_images_it_has_not_seen() -> None:
    labels, logits = made(1)
    held_out, others = made(2)
    calibration = fit_calibration(labels, [logits * 2 - 3])
    distorted = ScoreBlocks.of(others * 2 - 3)
    before = reliability(held_out, distorted.map(sigmoid))
    after = reliability(held_out, calibration.probabilities(distorted))
    assert after.ece < before.ece / 5
    assert after.ece_likely < before.ece_likely / 5
    assert after.ece_likely < 0.01


def test_two_features_are_blended_as_they_are_worth() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(-1, 2, (2, 3000, 40)).astype(np.float32)
    labels = csr_array(rng.random(a.shape) < sigmoid(0.8 * a + 0.3 * b - 1))
    calibration = fit_calibration(labels, [a, b])
    np.testing.assert_allclose(calibration.coefficients, [0.8, 0.3], atol=0.03)
    assert calibration.intercept == pytest.approx(-1, abs=0.05)
    mixed = calibration.probabilities(ScoreBlocks.of(a), ScoreBlocks.of(b))
    expected = sigmoid(calibration.combine(a[:5], b[:5]))
    np.testing.assert_array_equal(mixed.block(slice(0, 5), slice(0, 40)), expected)


def test_a_feature_that_says_the_contrary_has_no_say() -> None:
    labels, logits = made(4)
    calibration = fit_calibration(labels, [logits, -logits + 1])
    assert calibration.coefficients[0] == pytest.approx(1, rel=0.1)
    assert calibration.coefficients[1] == 0


def test_a_feature_that_ranks_backwards_keeps_its_order() -> None:
    labels, logits = made(5)
    calibration = fit_calibration(labels, [-logits])
    assert calibration.coefficients[0] > 0
    probabilities = sigmoid(calibration.combine(-logits))
    assert probabilities.mean() == pytest.approx(labels.nnz / logits.size, rel=0.05)


def test_a_choice_of_pairs_is_the_same_each_time_and_block_by_block() -> None:
    labels, logits = made(6)
    first = fit_calibration(labels, [logits], max_pairs=30_000, seed=1)
    assert first == fit_calibration(labels, [logits], max_pairs=30_000, seed=1)
    assert first != fit_calibration(labels, [logits], max_pairs=30_000, seed=2)
    blocks = ScoreBlocks(logits.shape, lambda i, t: logits[i, t], block_values=5000)
    whole = fit_calibration(labels, [logits])
    parts = fit_calibration(labels, [blocks])
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_tags_that_are_nowhere_or_everywhere_teach_nothing(value: float) -> None:
    labels = csr_array(np.full((3, 2), value))
    labels.eliminate_zeros()
    calibration = fit_calibration(labels, [np.ones((3, 2), np.float32)] * 2)
    assert calibration == Calibration((1.0, 0.0), 0.0, fitted=False)
    assert fit_calibration(csr_array((0, 2)), [np.empty((0, 2))]) == Calibration()


def test_pairs_that_part_perfectly_keep_a_finite_slope() -> None:
    labels = csr_array(np.eye(4))
    calibration = fit_calibration(labels, [np.eye(4, dtype=np.float32) * 10 - 5])
    probabilities = sigmoid(calibration.combine(np.array([5, -5], np.float32)))
    assert 0.8 < probabilities[0] < 0.9  # Platt: (4 + 1) / (4 + 2)
    assert 0 < probabilities[1] < 0.1


def test_logits_that_are_no_numbers_are_borne() -> None:
    labels, logits = made(7, (500, 20))
    logits[0] = np.nan
    logits[1] = np.inf
    logits[2] = -np.inf
    calibration = fit_calibration(labels, [logits])
    assert np.isfinite([*calibration.coefficients, calibration.intercept]).all()
    assert np.isfinite(calibration.combine(logits)).all()
    assert not np.isfinite(logits[:3]).any()  # the caller's own is left alone


def test_constant_logits_give_the_base_rate() -> None:
    labels, logits = made(8)
    calibration = fit_calibration(labels, [np.zeros_like(logits)])
    probability = sigmoid(calibration.combine(np.zeros(1, np.float32)))[0]
    assert probability == pytest.approx(labels.nnz / logits.size, rel=0.01)


def test_survives_json_and_refuses_damage() -> None:
    calibration = Calibration((0.5, 0.25), -1.5, fitted=True)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration
    with pytest.raises(ValueError, match="finite"):
        Calibration.from_dict({"coefficients": [float("nan")], "intercept": 0, "fitted": True})
    with pytest.raises(ValueError, match="1 features for 2"):
        calibration.probabilities(ScoreBlocks.of(np.ones((1, 1))))
