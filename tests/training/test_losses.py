"""The losses beside Keras's own and beside their formulas in NumPy."""

from typing import Any

import numpy as np
import pytest

from tagkin.backbones.keras_models import import_keras
from tagkin.settings import load_settings
from tagkin.training.losses import LossFunction, build_loss, decision_accuracy

IMAGES, TAGS = 6, 9


def named(name: str) -> LossFunction:
    return build_loss(import_keras(), load_settings({"loss": name}))


def some_pairs() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    labels = (rng.random((IMAGES, TAGS)) < 0.3).astype(np.float32)
    return labels, rng.uniform(0.001, 0.999, (IMAGES, TAGS)).astype(np.float32)


def asymmetric(labels: Any, p: Any) -> Any:
    """Equation 7 of the paper with its exponents 0 and 4 and its shift of 0.05."""
    shifted = np.maximum(p - 0.05, 0)
    there = np.log(p)
    absent = shifted**4 * np.log(1 - shifted)
    return -np.where(labels > 0, labels * there, absent).mean(axis=1)


@pytest.mark.parametrize("name", ["bce", "asl"])
def test_one_value_for_each_image(name: str) -> None:
    assert np.asarray(named(name)(*some_pairs())).shape == (IMAGES,)


def test_without_weights_it_is_binary_cross_entropy() -> None:
    labels, p = some_pairs()
    expected = import_keras().losses.binary_crossentropy(labels, p)
    np.testing.assert_allclose(named("bce")(labels, p), expected, rtol=1e-5)


def test_asymmetric_loss_follows_its_formula() -> None:
    labels, p = some_pairs()
    np.testing.assert_allclose(named("asl")(labels, p), asymmetric(labels, p), rtol=1e-4)
    weighted = labels * np.float32(0.3)
    np.testing.assert_allclose(named("asl")(weighted, p), asymmetric(weighted, p), rtol=1e-4)


def test_easy_negatives_cost_nothing_in_asymmetric_loss() -> None:
    labels = np.zeros((1, 2), np.float32)
    assert float(named("asl")(labels, np.array([[0.01, 0.05]], np.float32))[0]) == 0
    assert float(named("bce")(labels, np.array([[0.01, 0.05]], np.float32))[0]) > 0


@pytest.mark.parametrize("name", ["bce", "asl"])
def test_a_weight_counts_for_its_own_pair_only(name: str) -> None:
    labels, p = some_pairs()
    image, tag = np.argwhere(labels)[0]
    weighted = labels.copy()
    weighted[image, tag] = 0.25
    full, less = (np.asarray(named(name)(given, p)) for given in (labels, weighted))
    expected = np.zeros(IMAGES)
    expected[image] = 0.75 * -np.log(p[image, tag]) / TAGS
    np.testing.assert_allclose(full - less, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["bce", "asl"])
def test_certainty_that_is_wrong_costs_a_finite_amount(name: str) -> None:
    loss = named(name)(np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32))
    assert np.isfinite(np.asarray(loss)).all()
    assert float(loss[0]) > 1


def test_decisions_are_right_whatever_the_weight() -> None:
    labels = np.array([[1, 0.2, 0], [0, 0, 0.1]], np.float32)
    p = np.array([[0.9, 0.6, 0.4], [0.9, 0.1, 0.2]], np.float32)
    np.testing.assert_allclose(decision_accuracy(labels, p), [1, 1 / 3], rtol=1e-6)
