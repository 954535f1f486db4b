"""The frozen layers in OpenVINO compute what they do in Keras."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagkin.backbones import BackboneConfig, resolve_backbone
from tagkin.backbones.graphs import lowest_cosine
from tagkin.settings import load_settings
from tagkin.training import trunk as module
from tagkin.training.cut import Cut, cut_backbone
from tagkin.training.trunk import open_trunk


@pytest.fixture(scope="module")
def config() -> BackboneConfig:
    settings = {"model_architecture": "efficientnet-lite0", "image_size": 64, "precision": "f32"}
    return resolve_backbone(load_settings(settings))


@pytest.fixture(scope="module")
def cut(config: BackboneConfig) -> Cut:
    return cut_backbone(config)


def test_the_tail_on_the_exported_trunk_is_the_whole(
    cut: Cut, config: BackboneConfig, cache_dir: Path
) -> None:
    trunk = open_trunk(cut, config, cache_dir, precision="f32")
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    between = trunk.runtime.embed(images).reshape(-1, *trunk.shape)
    found = np.asarray(cut.tail(between, training=False))
    expected = np.asarray(cut.full(images.astype(np.float32), training=False))
    assert lowest_cosine(found, expected) > 0.9999


def test_several_images_a_request_give_the_same(
    cut: Cut, config: BackboneConfig, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    single = open_trunk(cut, config, cache_dir, precision="f32").runtime.embed(images)
    monkeypatch.setattr(module, "choose_batch", lambda *_: 4)
    several = open_trunk(cut, config, cache_dir, precision="f32", images=5000).runtime
    np.testing.assert_allclose(several.embed(images), single, rtol=1e-3, atol=1e-3)


def test_bf16_is_taken_only_where_it_was_found_good(
    cut: Cut, config: BackboneConfig, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagkin.backbones.tuning import PrecisionChoice

    asked: list[Any] = []

    def choose(graph: Path, images: Any) -> PrecisionChoice:
        asked.append(images.shape)
        return PrecisionChoice("f32", 1.0, 2.0, 0.9)

    monkeypatch.setattr(module, "has_bf16", lambda: True)
    monkeypatch.setattr(module, "choose_precision", choose)
    said: list[str] = []
    sample = np.zeros((3, 64, 64, 3), np.uint8)
    trunk = open_trunk(cut, config, cache_dir, sample=sample, note=said.append)
    assert trunk.precision == "f32"
    assert asked == [(3, 64, 64, 3)]
    assert "mean cosine between them 0.9000" in said[0]
    obeyed = open_trunk(cut, config, cache_dir, precision="f32")
    assert len(asked) == 1
    assert obeyed.key == trunk.key
    half = open_trunk(cut, config, cache_dir, precision="bf16")
    assert (half.precision, len(asked)) == ("bf16", 1)
    assert half.key != trunk.key
    monkeypatch.setattr(module, "has_bf16", lambda: False)
    assert open_trunk(cut, config, cache_dir, precision="bf16").precision == "f32"
