"""The expected calibration error, on numbers worked out by hand and on draws."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from tagkin.reliability import BINS
from tagkin.training.reliability import reliability
from tagkin.training.score_blocks import ScoreBlocks


def test_worked_out_by_hand() -> None:
    scores = np.array([[0.9, 0.92, 0.01, 0.62]], np.float32)
    result = reliability(csr_array(np.array([[1, 0, 0, 1]])), scores)
    # Bin 18 holds 0.9 and 0.92, half of which came true; bin 12 has 0.62; bin 0 has 0.01.
    assert result.counts[[0, 12, 18]].tolist() == [1, 1, 2]
    assert result.observed[18] == 0.5
    assert result.predicted[18] == pytest.approx(0.91)
    assert result.ece == pytest.approx((0.01 + 0.38 + 2 * 0.41) / 4)
    assert result.ece_likely == pytest.approx((0.38 + 2 * 0.41) / 3)


def test_true_probabilities_are_reliable_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((500, 40), np.float32)
    labels = csr_array(rng.random(p.shape) < p)
    assert reliability(labels, p).ece < 0.02
    assert reliability(labels, p**3).ece > 0.1


def test_edges_belong_to_the_bin_above_and_one_to_the_last() -> None:
    edges = (np.arange(BINS + 1) / BINS).astype(np.float32)[None]
    counts = reliability(csr_array(edges.shape), edges).counts
    assert counts.tolist() == [1] * (BINS - 1) + [2]


def test_blocks_add_up_and_weights_do_not_count() -> None:
    rng = np.random.default_rng(1)
    p = rng.random((30, 8), np.float32)
    labels = csr_array((rng.random(p.shape) < p).astype(np.float32))
    whole = reliability(labels, p)
    labels.data *= np.float32(0.5)
    parts = reliability(labels, ScoreBlocks(p.shape, lambda i, t: p[i, t], block_values=20))
    np.testing.assert_array_equal(parts.counts, whole.counts)
    assert parts.ece == pytest.approx(whole.ece)


def test_json_of_nothing_has_no_nan() -> None:
    result = reliability(csr_array((0, 3)), np.empty((0, 3), np.float32)).to_dict()
    assert result["ece"] is None
    assert result["bins"]["observed"] == [None] * BINS
    json.dumps(result, allow_nan=False)
