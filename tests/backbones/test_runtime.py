"""The contract of a backbone, kept by the real one and by a tiny stand-in."""

import gc
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_python
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, Runtime, cached_graph, runtime
from tagkin.backbones.runtime import NEEDS_VNNI, Arithmetic, import_openvino
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


def graph_for_single_images(folder: Path) -> Path:
    """The same, but a reshape to a fixed shape joins the images of a batch."""
    ov = import_openvino()
    from openvino import opset13 as ops

    pixels = ops.parameter([1, 8, 8, 3], ov.Type.u8)
    means = ops.reduce_mean(ops.convert(pixels, ov.Type.f32), [1, 2], keep_dims=False)
    joined = ops.reshape(means, np.array([1, -1]), special_zero=False)
    path = folder / "single.xml"
    ov.save_model(ov.Model([joined], [pixels], "single"), path)
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


# Several images a request


@pytest.fixture(scope="module")
def lite0_by_four(lite0_config: BackboneConfig, cache_dir: Path) -> Runtime:
    return Runtime(cached_graph(lite0_config, cache_dir), "f32", batch=4)


@pytest.mark.parametrize("count", [1, 3, 4, 8, 11])
def test_a_batch_gives_each_image_the_vector_it_has_alone(
    count: int, lite0: Runtime, lite0_by_four: Runtime
) -> None:
    images = pictures(count, 224)
    pairs = list(lite0_by_four.embed_stream(zip("abcdefghijkl", images, strict=False)))
    assert "".join(key for key, _ in pairs) == "abcdefghijkl"[:count]
    vectors = np.stack([vector for _, vector in pairs])
    np.testing.assert_allclose(vectors, lite0.embed(images), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(lite0_by_four.embed(images), vectors)


@pytest.mark.parametrize("batch", [2, 4, 7])
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 100])
def test_batches_lose_and_mix_up_nothing(batch: int, count: int, tmp_path: Path) -> None:
    tiny = Runtime(tiny_graph(tmp_path), "f32", batch=batch)
    assert tiny.input_shape == (8, 8, 3)
    images = pictures(count, 8)
    pairs = list(tiny.embed_stream(enumerate(images)))
    assert [key for key, _ in pairs] == list(range(count))
    assert tiny.embed(images).shape == (count, 3)
    np.testing.assert_allclose(tiny.embed(images), images.mean((1, 2)), rtol=1e-5)
    for key, vector in pairs:
        np.testing.assert_allclose(vector, images[key].mean((0, 1)), rtol=1e-5)


def test_an_image_of_another_shape_in_a_batch_is_an_error(tmp_path: Path) -> None:
    tiny = Runtime(tiny_graph(tmp_path), "f32", batch=4)
    images = [*pictures(5, 8), np.zeros((7, 8, 3), np.uint8)]
    with pytest.raises(BackboneError, match=r"shape \(8, 8, 3\), not uint8 of shape \(7, 8, 3\)"):
        list(tiny.embed_stream(enumerate(images)))
    assert len(tiny.embed(pictures(5, 8))) == 5


def test_a_graph_for_single_images_takes_no_batch(tmp_path: Path) -> None:
    graph = graph_for_single_images(tmp_path)
    images = pictures(5, 8)
    vectors = Runtime(graph, "f32").embed(images)
    np.testing.assert_allclose(vectors, images.mean((1, 2)), rtol=1e-5)
    with pytest.raises(BackboneError, match="made for single images"):
        Runtime(graph, "f32", batch=4)


@pytest.mark.parametrize("how", ["closed", "failed"])
@pytest.mark.parametrize("batch", [1, 4])
def test_pixels_are_not_freed_while_a_request_reads_them(
    how: str, batch: int, lite0: Runtime, lite0_by_four: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lite0 if batch == 1 else lite0_by_four
    requests: list[Any] = []

    class Noted(runtime._Request):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            requests.append(self.infer)

    monkeypatch.setattr(runtime, "_Request", Noted)

    def images() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        image = pictures(1, 224)[0]
        for number in itertools.count():
            if how == "failed" and number == 4 * batch:
                raise KeyError("a file")
            yield number, image

    stream = real.embed_stream(images())
    if how == "closed":
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    else:
        with pytest.raises(KeyError):
            list(stream)
    # None is at work any more: wait_for returns at once whether a request is done.
    assert requests
    assert all(request.wait_for(0) for request in requests)
    del stream
    gc.collect()
    assert np.isfinite(real.embed(pictures(3, 224))).all()


# Precision


@pytest.mark.parametrize("precision", ["bf16", "f16", "int8"])
def test_what_the_processor_cannot_do_runs_in_f32(
    precision: Arithmetic,
    lite0: Runtime,
    lite0_config: BackboneConfig,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "has_bf16", lambda: False)
    other = Runtime(cached_graph(lite0_config, cache_dir), precision)
    images = pictures(2, 224)
    np.testing.assert_array_equal(other.embed(images), lite0.embed(images))


def test_bf16_is_near_f32(lite0: Runtime, lite0_config: BackboneConfig, cache_dir: Path) -> None:
    images = pictures(2, 224)
    expected = lite0.embed(images)
    found = Runtime(cached_graph(lite0_config, cache_dir), "bf16").embed(images)
    assert found.dtype == np.float32
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(axis=1) / norms).min() > 0.95


def test_an_int8_graph_that_needs_vnni_is_refused_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ov = import_openvino()
    graph = ov.Core().read_model(tiny_graph(tmp_path))
    graph.set_rt_info(True, NEEDS_VNNI)
    ov.save_model(graph, tmp_path / "int8.xml")
    monkeypatch.setattr(runtime, "has_vnni", lambda: True)
    assert Runtime(tmp_path / "int8.xml", "int8").embed(pictures(2, 8)).shape == (2, 3)
    monkeypatch.setattr(runtime, "has_vnni", lambda: False)
    with pytest.raises(BackboneError, match="tagkin embed --precision int8"):
        Runtime(tmp_path / "int8.xml", "int8")


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
    done = run_python(code, {"HOME": str(tmp_path)})
    assert (done.stdout.strip(), done.returncode) == ("out of reach", 0), done.stderr
    assert list(tmp_path.iterdir()) == []
