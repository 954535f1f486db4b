"""The contract of a backbone, kept by the real one and by a tiny stand-in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import subprocess_environment
from numpy.typing import NDArray

from tagkin.backbones import Runtime
from tagkin.backbones.runtime import import_openvino
from tagkin.errors import BackboneError


def tiny_graph(folder: Path) -> Path:
    """The mean of each colour of an 8 x 8 image, as a graph: uint8 in, three numbers out."""
    ov = import_openvino()
    from openvino import opset13 as ops

    pixels = ops.parameter([1, 8, 8, 3], ov.Type.u8)
    means = ops.reduce_mean(ops.convert(pixels, ov.Type.f32), [1, 2], keep_dims=False)
    path = folder / "tiny.xml"
    ov.save_model(ov.Model([means], [pixels], "tiny"), path)
    return path


@pytest.fixture(params=["efficientnet-lite0", "tiny"])
def backbone(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Runtime, int, int]:
    """A backbone, its image size and its dimension."""
    if request.param == "tiny":
        return Runtime(tiny_graph(tmp_path), "f32"), 8, 3
    return request.getfixturevalue("lite0"), 224, 1280


def pictures(count: int, size: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, size, size, 3), np.uint8)


def test_the_tiny_one_computes_what_it_says(tmp_path: Path) -> None:
    images = pictures(4, 8)
    vectors = Runtime(tiny_graph(tmp_path), "f32").embed(images)
    np.testing.assert_allclose(vectors, images.mean((1, 2)), rtol=1e-5)


def test_gives_each_image_its_vector_in_order(backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, dimension = backbone
    images = pictures(11, size)
    keys = [f"image {i}" for i in range(11)]
    pairs = list(runtime.embed_stream(zip(keys, images, strict=True)))
    assert [key for key, _ in pairs] == keys
    vectors = np.stack([vector for _, vector in pairs])
    assert (vectors.shape, vectors.dtype) == ((11, dimension), np.float32)
    assert len(np.unique(vectors, axis=0)) == 11
    np.testing.assert_array_equal(vectors, runtime.embed(images))


def test_a_vector_does_not_depend_on_its_neighbours(backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, _ = backbone
    images = pictures(9, size)
    together = runtime.embed(images)
    alone = np.concatenate([runtime.embed(image[None]) for image in images])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(runtime.embed(images[::-1])[::-1], together)


def test_vectors_are_the_callers_own(backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, _ = backbone
    images = pictures(2, size)
    first = runtime.embed(images[:1])
    kept = first.copy()
    runtime.embed(images[1:])
    np.testing.assert_array_equal(first, kept)


def test_nothing_in_nothing_out(backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, dimension = backbone
    assert list(runtime.embed_stream([])) == []
    assert runtime.embed(pictures(0, size)).shape == (0, dimension)


def test_takes_only_a_few_images_ahead(backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, _ = backbone
    taken = 0

    def images() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        nonlocal taken
        for image in pictures(200, size):
            taken += 1
            yield taken, image

    stream = runtime.embed_stream(images())
    next(stream)
    assert taken < 150
    stream.close()  # type: ignore[attr-defined]
    assert list(runtime.embed_stream([])) == []


@pytest.mark.parametrize("wrong", ["smaller", "grey", "float", "transparent"])
def test_another_shape_is_an_error(wrong: str, backbone: tuple[Runtime, int, int]) -> None:
    runtime, size, _ = backbone
    image = {
        "smaller": np.zeros((size - 1, size, 3), np.uint8),
        "grey": np.zeros((size, size), np.uint8),
        "float": np.zeros((size, size, 3), np.float32),
        "transparent": np.zeros((size, size, 4), np.uint8),
    }[wrong]
    with pytest.raises(BackboneError, match="takes uint8 images of shape"):
        list(runtime.embed_stream([("a", image)]))
    assert len(runtime.embed(pictures(1, size))) == 1  # and it still works


@pytest.mark.parametrize("content", [b"", b"<net/>", b"\xff\xfe not xml"])
def test_a_damaged_graph_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_bytes(content)
    with pytest.raises(BackboneError, match=r"model\.xml"):
        Runtime(tmp_path / "model.xml", "f32")


def test_a_missing_graph_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"absent\.xml"):
        Runtime(tmp_path / "absent.xml", "f32")


def test_openvinos_telemetry_is_out_of_reach(tmp_path: Path) -> None:
    code = (
        "from tagkin.backbones.runtime import import_openvino\n"
        "ov = import_openvino()\n"
        "ov.Core().available_devices\n"
        "import openvino.tools.ovc\n"
        "try:\n"
        "    import openvino_telemetry\n"
        "except ImportError:\n"
        "    print('out of reach')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=subprocess_environment({"HOME": str(tmp_path)}),
    )
    assert (done.stdout.strip(), done.returncode) == ("out of reach", 0), done.stderr
    assert list(tmp_path.iterdir()) == []
