"""The two parts of a backbone are the whole, for each kind of network."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_tuning import SECOND_BLOCK, tiny_cut, tiny_model
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, open_backbone, resolve_backbone
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.backbones.vit import VitShape, build_vit
from tagkin.errors import BackboneError
from tagkin.settings import load_settings
from tagkin.training.cut import Cut, cut_backbone, cut_model, save_weights, tuned_config

TINY_VIT = VitShape(patch_size=16, layers=6, heads=2, dimension=16, mlp_dimension=32)

needs_keras_hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="Keras Hub is not installed"
)


def config(name: str, size: int, weights: str = "random") -> BackboneConfig:
    settings = {"model_architecture": name, "weights": weights, "image_size": size}
    return resolve_backbone(load_settings({**settings, "precision": "f32"}))


def pixels(size: int, count: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def run(model: Any, x: Any) -> NDArray[np.float32]:
    return np.asarray(model(x, training=False))


def assert_parts_are_the_whole(cut: Cut, size: int) -> None:
    x = pixels(size)
    between = run(cut.trunk, x)
    assert between.shape[1:] == cut.boundary_shape
    expected = run(cut.full, x)
    np.testing.assert_allclose(run(cut.tail, between), expected, rtol=1e-5, atol=1e-6)
    if not cut.twins:
        np.testing.assert_array_equal(run(cut.tail, between), expected)
    assert not cut.trunk.trainable_weights
    assert cut.tail.trainable_weights


def change(cut: Cut) -> None:
    """Changes all weights that are trained, as training would."""
    rng = np.random.default_rng(3)
    for variable in cut.tail.trainable_variables:
        factors = rng.uniform(0.9, 1.1, variable.shape).astype(np.float32)
        variable.assign(variable * factors + 0.01)


def test_the_default_trains_the_last_50_layers() -> None:
    cut = cut_model(build_model(config("efficientnet-lite0", 64)))
    assert_parts_are_the_whole(cut, 64)
    assert cut.boundary == "block9_add"
    assert cut.boundary_shape == (4, 4, 112)
    assert [layer.trainable for layer in cut.full.layers].index(True) == len(cut.full.layers) - 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "boundary"),
    [
        ("efficientnetv2-s", ("block6l_add", (2, 2, 256))),
        ("resnet50", ("conv4_block4_out", (4, 4, 1024))),
    ],
)
def test_networks_of_keras_applications(name: str, boundary: Any, tmp_path: Path) -> None:
    before = config(name, 64)
    cut = cut_backbone(before)
    assert_parts_are_the_whole(cut, 64)
    assert (cut.boundary, cut.boundary_shape) == boundary
    assert_saved_weights_are_read_back(cut, before, tmp_path)


@pytest.mark.slow
def test_convnext_of_keras_applications(tmp_path: Path) -> None:
    keras = import_keras()

    def build() -> Any:
        return keras.applications.ConvNeXtTiny(
            include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3)
        )

    cut = cut_model(build())
    assert_parts_are_the_whole(cut, 64)
    assert len(cut.twins) == 7
    change(cut)
    save_weights(cut, tmp_path / "tuned.weights.h5")
    again = build()
    again.load_weights(tmp_path / "tuned.weights.h5")
    np.testing.assert_array_equal(run(again, pixels(64)), run(cut.full, pixels(64)))
    tuned = run(cut.tail, run(cut.trunk, pixels(64)))
    np.testing.assert_allclose(run(again, pixels(64)), tuned, rtol=1e-4, atol=1e-5)


@needs_keras_hub
@pytest.mark.parametrize(
    ("layers", "first"), [(None, "transformer_block_3"), (2, "transformer_block_6")]
)
def test_a_vision_transformer_is_cut_between_its_blocks(layers: int | None, first: str) -> None:
    cut = cut_model(build_vit(config("vit-large", 48), TINY_VIT), layers)
    assert_parts_are_the_whole(cut, 48)
    assert cut.trainable_layers[0] == first
    assert cut.trainable_layers[-1] == "ln"
    assert cut.boundary_shape == (10, 16)  # 3 x 3 patches and the class token
    # Those of the unrolled blocks are the original's own.
    trained = {variable.path for variable in cut.tail.trainable_variables}
    assert trained == {variable.path for variable in cut.full.trainable_variables}


@needs_keras_hub
def test_the_weights_of_a_tuned_transformer_are_those_of_its_backbone(tmp_path: Path) -> None:
    before = config("vit-large", 48)
    cut = cut_model(build_vit(before, TINY_VIT))
    change(cut)
    path = tmp_path / "tuned.weights.h5"
    save_weights(cut, path)
    again = build_vit(replace(before, weights=str(path)), TINY_VIT)
    np.testing.assert_array_equal(run(again, pixels(48)), run(cut.full, pixels(48)))


def test_more_layers_than_there_are_leave_the_preprocessing_to_the_trunk() -> None:
    cut = cut_model(tiny_model(), 1000)
    assert_parts_are_the_whole(cut, 16)
    assert cut.boundary == "rescale"
    assert cut.boundary_shape == (16, 16, 3)


def test_frozen_dropout_does_not_fire() -> None:
    cut = cut_model(tiny_model(), SECOND_BLOCK)
    assert "a_dropout" in {layer.name for layer in cut.trunk.layers}
    x = pixels(16)
    np.testing.assert_array_equal(run(cut.trunk, x), run(cut.trunk, x))


def test_the_place_is_the_same_for_the_same_network() -> None:
    assert tiny_cut().place == tiny_cut().place
    assert tiny_cut().place != cut_model(tiny_model(), 1000).place


def test_layers_without_weights_are_refused() -> None:
    with pytest.raises(BackboneError, match="last 1 layers of tiny have no weights"):
        cut_model(tiny_model(), 1)


def test_a_network_without_a_narrow_place_is_refused() -> None:
    keras = import_keras()
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    one, other = keras.layers.Dense(4)(x), keras.layers.GlobalMaxPooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.concatenate([one, other]), name="wide")
    with pytest.raises(BackboneError, match="wide can't be cut before its last 50 layers"):
        cut_model(model)


def test_an_onnx_file_is_refused() -> None:
    onnx = replace(config("efficientnet-lite0", 64), architecture="onnx:own")
    with pytest.raises(BackboneError, match="can be run but not trained"):
        cut_backbone(onnx)


def test_the_tuned_backbone_is_a_backbone_like_any_other(cache_dir: Path, tmp_path: Path) -> None:
    before = config("efficientnet-lite0", 64, "imagenet")
    cut = cut_backbone(before)
    change(cut)
    after = assert_saved_weights_are_read_back(cut, before, tmp_path)
    assert after.fingerprint != before.fingerprint
    assert after.graph_key != before.graph_key
    images = pixels(64, 4).astype(np.uint8)
    vectors = open_backbone(after, cache_dir)
    found = np.stack([vector for _, vector in vectors.embed_stream(enumerate(images))])
    expected = run(cut.full, images.astype(np.float32))
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1)
    assert (cosine / np.linalg.norm(expected, axis=1)).min() > 0.9999


def test_a_tuned_int8_backbone_is_no_longer_calibrated(tmp_path: Path) -> None:
    before = replace(config("efficientnet-lite0", 64), precision="int8", calibration="abc")
    (tmp_path / "tuned.weights.h5").write_bytes(b"weights")
    after = tuned_config(before, tmp_path / "tuned.weights.h5")
    assert (after.precision, after.calibration) == ("f32", "")


def test_the_name_of_a_weight_file_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        save_weights(tiny_cut(), tmp_path / "tuned.h5")


def assert_saved_weights_are_read_back(
    cut: Cut, before: BackboneConfig, folder: Path
) -> BackboneConfig:
    change(cut)
    path = folder / "tuned.weights.h5"
    save_weights(cut, path)
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    after = tuned_config(before, path)
    x = pixels(before.image_size)
    np.testing.assert_array_equal(run(build_model(after), x), run(cut.full, x))
    return after
