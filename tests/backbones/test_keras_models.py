"""Backbones in Keras: weights from a download, a file or at random."""

import importlib.util
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_python, subprocess_environment
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, resolve_backbone
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.errors import WeightsError
from tagkin.settings import load_settings

LARGE = {
    "resnet50": 2048,
    "efficientnetv2-s": 1280,
    "efficientnetv2-l": 1280,
    "convnext-large": 1536,
    "vit-large": 1024,
}


def config(architecture: str, weights: Path | str, size: int = 64) -> BackboneConfig:
    return resolve_backbone(
        load_settings(
            {
                "model_architecture": architecture,
                "weights": str(weights),
                "image_size": size,
                "precision": "f32",
            }
        )
    )


def embed(model: Any) -> NDArray[np.float32]:
    size = model.input_shape[1]
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3))
    result: NDArray[np.float32] = model.predict(image.astype(np.float32), verbose=0)
    return result


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.usefixtures("no_network")
def test_a_failed_download_names_both_ways_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WeightsError) as caught:
        build_model(config("resnet50", "imagenet"))
    message = str(caught.value)
    assert "resnet50" in message
    assert "--weights FILE" in message
    assert "--model efficientnet-lite0" in message
    assert capsys.readouterr().out == ""  # stdout is for results


def test_random_weights_are_the_same_every_time() -> None:
    first, second = (embed(build_model(config("efficientnet-lite0", "random"))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    real = embed(build_model(config("efficientnet-lite0", "imagenet")))
    assert not np.allclose(first, real)


def test_the_users_configuration_of_keras_does_not_count(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(
        '{"floatx": "float16", "backend": "torch", "image_data_format": "channels_first"}'
    )
    code = (
        "from tagkin.backbones.keras_models import build_model\n"
        "from tagkin.backbones import resolve_backbone\n"
        "from tagkin.settings import load_settings\n"
        "options = {'model_architecture': 'efficientnet-lite0', 'image_size': 64}\n"
        "model = build_model(resolve_backbone(load_settings(options)))\n"
        "print(model.input_shape, model.compute_dtype)\n"
    )
    done = run_python(code, {"HOME": str(tmp_path), "KERAS_BACKEND": "jax"})
    assert done.stdout.strip() == "(None, 64, 64, 3) float32", done.stderr


@pytest.mark.parametrize("name", ["own.weights.h5", "own.h5", "own.keras", "own.pth"])
def test_lite0_reads_its_weights_from_a_file(name: str, tmp_path: Path) -> None:
    real = build_model(config("efficientnet-lite0", "imagenet"))
    path = tmp_path / name
    if name.endswith(".pth"):
        from tagkin.backbones.lite0 import packaged_weights

        shutil.copyfile(packaged_weights(), path)
    elif name.endswith(".weights.h5"):
        real.save_weights(path)
    else:
        real.save(path)
    model = build_model(config("efficientnet-lite0", path))
    np.testing.assert_array_equal(embed(model), embed(real))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jpg", b"\xff\xd8\xff"),
        ("no-suffix", b"weights"),
        ("empty.weights.h5", b""),
        ("noise.h5", b"not HDF5" * 100),
        ("noise.keras", b"not a zip file"),
        ("noise.pth", b"not a checkpoint"),
    ],
)
def test_a_wrong_file_is_a_clear_error(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        build_model(config("efficientnet-lite0", path))
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_weights_of_another_network_are_an_error(tmp_path: Path) -> None:
    keras = import_keras()
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    with pytest.raises(WeightsError, match=r"other\.weights\.h5"):
        build_model(config("efficientnet-lite0", path))


@pytest.fixture(scope="module")
def resnet() -> Any:
    """A complete ResNet50 with random weights, its classifier included."""
    keras = import_keras()
    keras.utils.set_random_seed(7)
    return keras.applications.ResNet50(weights=None, input_shape=(224, 224, 3))


@pytest.fixture
def save_resnet(resnet: Any, tmp_path: Path) -> Callable[[str, bool], Path]:
    def save(name: str, with_top: bool) -> Path:
        path = tmp_path / name
        keras = import_keras()
        model = resnet
        if not with_top:
            model = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
            model.set_weights(resnet.get_weights()[:-2])
        model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
        return path

    return save


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "with_top"),
    [("notop.weights.h5", False), ("top.weights.h5", True), ("notop.h5", False), ("top.h5", True)],
)
def test_files_with_and_without_classifier_give_the_same_vectors(
    name: str, with_top: bool, resnet: Any, save_resnet: Callable[[str, bool], Path]
) -> None:
    keras = import_keras()
    model = build_model(config("resnet50", save_resnet(name, with_top), size=96))
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3)).astype(np.float32)
    pooled = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    pooled.set_weights(resnet.get_weights()[:-2])
    expected = pooled.predict(keras.applications.resnet.preprocess_input(image.copy()), verbose=0)
    np.testing.assert_allclose(model.predict(image, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_weights_of_another_backbone_are_an_error(
    save_resnet: Callable[[str, bool], Path],
) -> None:
    path = save_resnet("resnet.weights.h5", False)
    with pytest.raises(WeightsError, match=r"resnet\.weights\.h5.*don't fit"):
        build_model(replace(config("efficientnetv2-s", path)))


_MEASURE = """
import sys, time
from pathlib import Path
import numpy as np
from tagkin.backbones import open_backbone, resolve_backbone
from tagkin.settings import load_settings
name, cache = sys.argv[1:]
config = resolve_backbone(
    load_settings({"model_architecture": name, "weights": "random", "precision": "f32"})
)
started = time.perf_counter()
runtime = open_backbone(config, Path(cache))
made = time.perf_counter()
size = config.image_size
images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
vectors = runtime.embed(images)
print(f"export {made - started:.1f} s, two images {time.perf_counter() - made:.1f} s")
assert vectors.shape == (2, config.dimension), vectors.shape
assert np.isfinite(vectors).all() and 0 < np.abs(vectors).max() < np.finfo(np.float16).max
assert "random" in config.fingerprint
print(config.dimension)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_backbones_export_and_embed_at_their_own_size(name: str, tmp_path: Path) -> None:
    if name == "vit-large" and importlib.util.find_spec("keras_hub") is None:
        pytest.skip("Keras Hub is not installed")
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, name, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
        env=subprocess_environment(),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    measured, dimension = done.stdout.strip().splitlines()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{name}: {measured}, {time.perf_counter() - started:.0f} s in all")
    print(f"greatest memory of any child process so far: {memory:.1f} GiB")
    assert int(dimension) == LARGE[name]
