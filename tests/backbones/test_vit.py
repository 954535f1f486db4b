"""The Vision Transformer of Keras Hub, mostly a tiny one of the same make."""

import importlib.util
import logging
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_python
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, Runtime, get_spec, resolve_backbone
from tagkin.backbones.export import export_model
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.backbones.presets import preset_digest
from tagkin.backbones.vit import VitShape, build_vit, import_keras_hub
from tagkin.errors import BackboneError, WeightsError
from tagkin.settings import load_settings

TINY = VitShape(patch_size=16, layers=2, heads=2, dimension=16, mlp_dimension=32)
SIZE = 48

needs_keras_hub = pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None, reason="Keras Hub is not installed"
)


def config(weights: Path | str = "random", size: int | None = SIZE) -> BackboneConfig:
    settings = {"model_architecture": "vit-large", "weights": "random", "precision": "f32"}
    found = resolve_backbone(load_settings({**settings, "image_size": size}))
    return replace(found, weights=str(weights))


def pixels(count: int = 2, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def embed(model: Any) -> NDArray[np.float32]:
    result: NDArray[np.float32] = model.predict(pixels().astype(np.float32), verbose=0)
    return result


def tiny(size: int) -> Any:
    return import_keras_hub().models.ViTBackbone(
        image_shape=(size, size, 3),
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
    )


@pytest.fixture(scope="module")
def backbone() -> Any:
    """A tiny network whose weights are not those of `random`."""
    import_keras_hub()
    import_keras().utils.set_random_seed(7)
    return tiny(SIZE)


@pytest.fixture(scope="module")
def classify(backbone: Any) -> Callable[[int], Any]:
    """Makes classifiers on top of the network."""
    return lambda classes: import_keras_hub().models.ViTImageClassifier(backbone, classes)


@pytest.fixture(scope="module")
def expected(backbone: Any) -> NDArray[np.float32]:
    """The class token of images that were preprocessed as the preset's classifier does it."""
    tokens: NDArray[np.float32] = backbone.predict(pixels() / np.float32(127.5) - 1, verbose=0)
    return tokens[:, 0]


def test_the_row_is_as_published() -> None:
    spec = get_spec("vit-large")
    assert (spec.builder, spec.kind, spec.year) == ("vit", "download", 2020)
    assert (spec.image_size, spec.dimension, spec.top1) == (384, 1024, 85.2)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(BackboneError, match=r"keras-hub.*pip install tagkin\[vit\]$"):
        build_model(config())


def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keras_hub.py").write_text("raise ImportError('too old a friend')")
    for name in [n for n in sys.modules if n.partition(".")[0] == "keras_hub"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackboneError, match=r"can't be imported \(too old a friend\)"):
        build_model(config())


@needs_keras_hub
def test_random_weights_are_the_same_every_time() -> None:
    first = embed(build_vit(config(), TINY))
    import_keras().utils.set_random_seed(3)
    second = embed(build_vit(config(), TINY))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (2, 16)
    assert first.dtype == np.float32
    assert not np.allclose(first[0], first[1])


@needs_keras_hub
@pytest.mark.parametrize("name", ["own.weights.h5", "own.h5", "own.keras"])
def test_a_file_of_the_network(
    name: str, backbone: Any, expected: NDArray[np.float32], tmp_path: Path
) -> None:
    path = tmp_path / name
    backbone.save_weights(path) if name.endswith(".weights.h5") else backbone.save(path)
    model = build_vit(config(path), TINY)
    assert model.input_shape == (None, SIZE, SIZE, 3)
    np.testing.assert_allclose(embed(model), expected, rtol=1e-5, atol=1e-6)


@needs_keras_hub
@pytest.mark.parametrize(
    ("name", "classes"),
    [("top.weights.h5", 1000), ("top.weights.h5", 7), ("top.keras", 7), ("top.h5", 1000)],
)
def test_a_file_of_the_classifier(
    name: str,
    classes: int,
    classify: Callable[[int], Any],
    expected: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    path = tmp_path / name
    model = classify(classes)
    model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
    vectors = embed(build_vit(config(path), TINY))
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)


@needs_keras_hub
@pytest.mark.parametrize("with_top", [False, True])
def test_a_preset_folder(
    with_top: bool,
    backbone: Any,
    classify: Callable[[int], Any],
    expected: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    (classify(7) if with_top else backbone).save_to_preset(str(tmp_path / "preset"))
    vectors = embed(build_vit(config(tmp_path / "preset"), TINY))
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)


@needs_keras_hub
def test_other_files_and_folders_are_clear_errors(backbone: Any, tmp_path: Path) -> None:
    keras = import_keras()
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "noise.h5").write_bytes(b"not HDF5" * 100)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "empty").mkdir()
    for name in ("other.weights.h5", "noise.h5", "photo.jpg", "empty"):
        with pytest.raises(WeightsError) as caught:
            build_vit(config(tmp_path / name), TINY)
        assert name in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    backbone.save_to_preset(str(tmp_path / "preset"))
    deeper = TINY._replace(layers=3)
    with pytest.raises(WeightsError, match=r"another network.*2 layers of 16 channels"):
        build_vit(config(tmp_path / "preset"), deeper)


@needs_keras_hub
def test_weights_fit_their_own_image_size_only(backbone: Any, tmp_path: Path) -> None:
    backbone.save_weights(tmp_path / "own.weights.h5")
    backbone.save_to_preset(str(tmp_path / "preset"))
    with pytest.raises(BackboneError, match="leave --image-size out for 384"):
        build_vit(config(tmp_path / "own.weights.h5", 64), TINY)
    with pytest.raises(BackboneError, match="set --image-size 48"):
        build_vit(config(tmp_path / "preset", 64), TINY)


def test_image_sizes_that_no_weights_can_help() -> None:
    with pytest.raises(BackboneError, match="384 pixels only, not 224: leave --image-size out"):
        build_vit(config("imagenet", 224))
    with pytest.raises(BackboneError, match="multiple"):
        build_vit(config("random", 100))


@needs_keras_hub
def test_a_failed_download_names_both_ways_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from requests.adapters import HTTPAdapter

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    send, started = HTTPAdapter.send, time.monotonic()
    with pytest.raises(WeightsError) as caught:
        build_model(config("imagenet", None))
    assert time.monotonic() - started < 30
    message = str(caught.value)
    assert "vit-large" in message
    assert "--weights FILE" in message
    assert "--model efficientnet-lite0" in message
    assert len(message.splitlines()) == 1
    assert capsys.readouterr().out == ""  # stdout is for results
    assert HTTPAdapter.send is send


@needs_keras_hub
def test_a_download_has_time_limits_and_stays_off_stdout(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from requests.adapters import HTTPAdapter
    from requests.sessions import Session

    import_keras_hub()
    limits = []

    def no_answer(adapter: Any, request: Any, **how: Any) -> Any:
        limits.append(how["timeout"])
        raise OSError("no answer")

    def from_preset(name: str, **how: Any) -> Any:
        print("on the way")
        logging.getLogger("kagglehub").warning("downloading %s", name)
        for timeout in (None, 5):
            with pytest.raises(OSError, match="no answer"):
                Session().post("https://example.invalid", timeout=timeout)
        return tiny(384)

    monkeypatch.setattr(HTTPAdapter, "send", no_answer)
    monkeypatch.setattr(import_keras_hub().models.ViTBackbone, "from_preset", from_preset)
    assert build_model(config("imagenet", None)).output_shape == (None, 16)
    assert limits == [(15.0, 60.0), 5]
    written = capsys.readouterr()
    assert written.out == ""
    assert "downloading vit_large_patch16_384_imagenet" in written.err


@needs_keras_hub
def test_the_export_computes_what_keras_does(
    backbone: Any, expected: NDArray[np.float32], tmp_path: Path
) -> None:
    backbone.save_weights(tmp_path / "own.weights.h5")
    (tmp_path / "graph").mkdir()
    export_model(build_vit(config(tmp_path / "own.weights.h5"), TINY), tmp_path / "graph")
    vectors = Runtime(tmp_path / "graph" / "model.xml", "f32").embed(pixels())
    np.testing.assert_allclose(vectors, expected, rtol=0.02, atol=0.02)


@needs_keras_hub
def test_a_presets_digest_is_of_what_decides_about_the_vectors(
    backbone: Any, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    backbone.save_to_preset(str(first))
    shutil.copytree(first, second)
    (second / "metadata.json").write_text("{}")
    (second / "task.weights.h5").write_bytes(b"a classifier")
    digest = preset_digest(first)
    assert preset_digest(second) == digest
    for name in ("config.json", "model.weights.h5"):
        kept = (second / name).read_bytes()
        (second / name).write_bytes(kept + b" ")
        assert preset_digest(second) != digest
        (second / name).unlink()
        with pytest.raises(WeightsError, match="is not a preset"):
            preset_digest(second)
        (second / name).write_bytes(kept)


_PUBLISHED_BACKBONE_WEIGHTS = 303_690_752  # "params" in Keras Hub's table of presets


@pytest.mark.slow
@needs_keras_hub
def test_has_as_many_weights_as_published() -> None:
    hub = import_keras_hub()
    model = build_model(config("random", None))
    assert model.count_params() == _PUBLISHED_BACKBONE_WEIGHTS
    known = hub.models.ViTBackbone.presets["vit_large_patch16_384_imagenet"]["metadata"]
    assert known["params"] == _PUBLISHED_BACKBONE_WEIGHTS
    head = (1024 + 1) * 1000
    everything = (model.count_params() + head) / 1e6
    assert get_spec("vit-large").parameters == pytest.approx(everything, abs=0.05)
    assert model.output_shape == (None, 1024)


@needs_keras_hub
def test_the_other_backbones_do_without_keras_hub() -> None:
    code = (
        "import sys\n"
        "from tagkin.backbones import resolve_backbone\n"
        "from tagkin.backbones.keras_models import build_model\n"
        "from tagkin.settings import load_settings\n"
        "options = {'model_architecture': 'efficientnet-lite0', 'image_size': 64}\n"
        "build_model(resolve_backbone(load_settings({**options, 'precision': 'f32'})))\n"
        "print('keras_hub' in sys.modules, 'kagglehub' in sys.modules)\n"
    )
    done = run_python(code)
    assert done.stdout.strip() == "False False", done.stderr
