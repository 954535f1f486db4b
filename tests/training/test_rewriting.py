"""Depthwise twins compute what grouped convolutions do, and give their kernels back."""

from typing import Any

import numpy as np
import pytest
from helpers_tuning import SECOND_BLOCK, SIZE, tiny_model

from tagkin.backbones.keras_models import import_keras
from tagkin.training.cut import cut_model
from tagkin.training.rewriting import rewrite, unroll


def grouped(**how: Any) -> Any:
    keras = import_keras()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 6))
    return keras.Model(inputs, keras.layers.Conv2D(6, 3, groups=6, **how)(inputs))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"padding": "same", "use_bias": False},
        {"strides": 2, "activation": "relu"},
        {"padding": "same", "dilation_rate": 2},
    ],
)
def test_a_twin_computes_the_same(how: dict[str, Any]) -> None:
    model = grouped(**how)
    other, twins = rewrite(model)
    assert len(twins) == 1
    assert not any(type(layer).__name__ == "Conv2D" for layer in other.layers)
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 6)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(other(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


def test_kernels_are_copied_back() -> None:
    model = grouped()
    other, (twin,) = rewrite(model)
    kernel = np.random.default_rng(1).normal(size=twin.depthwise.kernel.shape)
    twin.depthwise.kernel.assign(kernel)
    twin.depthwise.bias.assign(np.arange(6))
    twin.store()
    assert tuple(twin.grouped.kernel.shape) == (3, 3, 1, 6)
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 6)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(other(x)), rtol=1e-5, atol=1e-5)


def test_only_one_channel_a_group_is_rewritten() -> None:
    keras = import_keras()
    inputs = keras.Input((9, 9, 6))
    x = keras.layers.Conv2D(6, 3, groups=3)(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(12, 3, groups=6)(x))
    other, twins = rewrite(model)
    assert other is model
    assert not twins


def test_a_frozen_layer_has_a_frozen_twin() -> None:
    # With 4 layers, the grouped convolution is frozen and lies behind the boundary all the same.
    cut = cut_model(tiny_model(), SECOND_BLOCK - 2)
    assert [twin.depthwise.trainable for twin in cut.twins] == [False]
    assert [twin.depthwise.trainable for twin in cut_model(tiny_model(), 6).twins] == [True]
    assert cut.boundary_shape == (SIZE // 2, SIZE // 2, 8)


def test_another_network_is_not_unrolled() -> None:
    model = tiny_model()
    assert unroll(model) is model
