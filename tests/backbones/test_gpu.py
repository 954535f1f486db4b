"""The GPU's runtime, on the processor as a device of TensorFlow's."""

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tagkin.backbones import gpu
from tagkin.backbones.gpu import Gpu, KerasRuntime, find_gpu
from tagkin.backbones.keras_models import import_keras
from tagkin.backbones.lite0 import build_lite0, load_packaged_weights
from tagkin.backbones.runtime import import_openvino
from tagkin.errors import BackboneError

CPU = "/CPU:0"
SIZE = 8


def pictures(count: int, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def means() -> Any:
    """A model that gives the mean of each colour, divided by 256."""
    keras = import_keras()
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 256)(pixels)
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))


def lite0() -> Any:
    model = build_lite0(64)
    load_packaged_weights(model)
    return model


def runtime(batch: int = 4, build: Callable[[], Any] = means) -> KerasRuntime:
    return KerasRuntime(build, device=CPU, precision="f32", batch=batch)


def lowest_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


def full_above(limit: int, runtime: KerasRuntime, sizes: list[int]) -> None:
    """Lets the device run out of memory for more than ``limit`` images; notes the sizes."""
    import tensorflow as tf

    forward = runtime._forward

    def limited(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > limit:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return forward(pixels)

    runtime._forward = limited


@pytest.fixture(scope="module")
def reference() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images, and the vectors that the plain Keras model gives them."""
    images = pictures(6, 64)
    return images, lite0().predict(images.astype(np.float32), verbose=0)


@pytest.mark.parametrize(("precision", "cosine"), [("f32", 0.9999), ("f16", 0.999), ("bf16", 0.99)])
def test_vectors_are_those_of_the_keras_model(
    precision: Any, cosine: float, reference: tuple[NDArray[np.uint8], NDArray[np.float32]]
) -> None:
    images, expected = reference
    built: list[Any] = []

    def build() -> Any:
        built.append(lite0())
        return built[0]

    made = KerasRuntime(build, device=CPU, precision=precision, batch=4)
    vectors = made.embed(images)
    assert (vectors.shape, vectors.dtype) == ((6, 1280), np.float32)
    assert lowest_cosine(vectors, expected) >= cosine
    kind = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[precision]
    convolution = built[0].get_layer("stem_conv")
    assert (convolution.compute_dtype, convolution.variable_dtype) == (kind, "float32")


@pytest.mark.parametrize("count", [0, 1, 4, 11, 12])
def test_gives_each_image_its_vector_in_order(count: int) -> None:
    images = pictures(count)
    keys = [f"image {i}" for i in range(count)]
    made = runtime()
    pairs = list(made.embed_stream(zip(keys, images, strict=True)))
    assert [key for key, _ in pairs] == keys
    vectors = np.array([vector for _, vector in pairs], np.float32).reshape(count, 3)
    np.testing.assert_allclose(vectors, images.mean((1, 2)) / 256, rtol=1e-5)
    np.testing.assert_array_equal(vectors, made.embed(images))


def test_one_trace_does_for_whole_and_partial_batches() -> None:
    made = runtime()
    for count in (4, 1, 7):
        made.embed(pictures(count))
    assert made._forward.experimental_get_tracing_count() == 1


def test_an_array_may_be_used_again_for_the_next_image() -> None:
    images = pictures(11)
    shared = np.empty_like(images[0])

    def stream() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for i, image in enumerate(images):
            shared[:] = image
            yield i, shared

    vectors = np.stack([vector for _, vector in runtime().embed_stream(stream())])
    np.testing.assert_array_equal(vectors, runtime().embed(images))


def test_takes_only_two_batches_ahead() -> None:
    taken = 0

    def stream() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        nonlocal taken
        for image in pictures(50):
            taken += 1
            yield taken, image

    made = runtime(batch=4)
    results = made.embed_stream(stream())
    assert taken == 0
    ahead = [taken - key for key, _ in results]
    assert max(ahead) < 2 * 4
    closed = made.embed_stream(stream())
    next(closed)
    closed.close()  # type: ignore[attr-defined]
    assert len(made.embed(pictures(3))) == 3


def test_a_batch_is_sent_before_the_one_before_is_waited_for() -> None:
    events: list[str] = []

    class Result:
        def numpy(self) -> NDArray[np.float32]:
            events.append("wait")
            return np.ones((4, 3), np.float32)

    def send(pixels: Any) -> Result:
        events.append("send")
        return Result()

    made = runtime(batch=4)
    made._forward = send
    assert len(made.embed(pictures(16))) == 16
    assert events == ["send", "send", "wait", "send", "wait", "send", "wait", "wait"]


@pytest.mark.parametrize("wrong", ["smaller", "grey", "float", "transparent"])
def test_another_shape_is_an_error(wrong: str) -> None:
    image = {
        "smaller": np.zeros((SIZE - 1, SIZE, 3), np.uint8),
        "grey": np.zeros((SIZE, SIZE), np.uint8),
        "float": np.zeros((SIZE, SIZE, 3), np.float32),
        "transparent": np.zeros((SIZE, SIZE, 4), np.uint8),
    }[wrong]
    made = runtime()
    with pytest.raises(BackboneError, match="takes uint8 images of shape"):
        list(made.embed_stream([("a", image)]))
    assert len(made.embed(pictures(1))) == 1  # and it still works


@pytest.mark.parametrize(("batch", "limit"), [(8, 4), (7, 3), (5, 2), (8, 1), (2, 1)])
@pytest.mark.parametrize("count", [3, 29])
def test_no_image_is_lost_when_the_device_is_full(batch: int, limit: int, count: int) -> None:
    made = runtime(batch)
    sizes: list[int] = []
    full_above(limit, made, sizes)
    images = pictures(count)
    pairs = list(made.embed_stream(enumerate(images)))
    assert [key for key, _ in pairs] == list(range(count))
    vectors = np.stack([vector for _, vector in pairs])
    np.testing.assert_allclose(vectors, images.mean((1, 2)) / 256, rtol=1e-5)
    fitting = [size for size in sizes if size <= limit]
    assert len(set(fitting)) == 1  # no more sizes are traced than needed
    assert sizes[-len(fitting) :] == fitting  # and none is tried again that was too large


def test_memory_may_run_out_in_the_middle() -> None:
    made = runtime(8)
    stream = made.embed_stream(enumerate(pictures(40)))
    keys = [next(stream)[0] for _ in range(3)]
    full_above(3, made, [])
    keys += [key for key, _ in stream]
    assert keys == list(range(40))


def test_a_device_too_small_for_one_image_is_an_error() -> None:
    made = runtime()
    full_above(0, made, [])
    with pytest.raises(BackboneError, match="lacks memory for one image"):
        made.embed(pictures(3))


def test_a_device_too_small_for_the_model_is_an_error() -> None:
    import_keras()
    import tensorflow as tf

    def build() -> Any:
        raise tf.errors.InternalError(None, None, "Failed copying: Dst tensor is not initialized.")

    with pytest.raises(BackboneError, match="lacks memory for the backbone"):
        runtime(build=build)


def test_another_failure_of_the_device_is_told() -> None:
    import_keras()
    import tensorflow as tf

    def fail(pixels: Any) -> Any:
        raise tf.errors.InternalError(None, None, "cuDNN is too old")

    made = runtime()
    made._forward = fail
    with pytest.raises(BackboneError, match="cuDNN is too old"):
        made.embed(pictures(1))


@pytest.mark.parametrize("scale", [1000.0, 1e-12])
def test_numbers_beyond_half_precision_are_an_error(scale: float) -> None:
    def build() -> Any:
        keras = import_keras()
        pixels = keras.Input((SIZE, SIZE, 3))
        x = keras.layers.Rescaling(scale)(pixels)
        return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))

    with pytest.raises(BackboneError, match="leave the range of f16"):
        KerasRuntime(build, device=CPU, precision="f16", batch=2).embed(pictures(3))
    assert runtime(build=build).embed(pictures(3)).any()


@pytest.mark.parametrize("precision", ["f16", "bf16", "f32"])
def test_the_policy_of_the_process_stays(precision: Any) -> None:
    keras = import_keras()
    before = keras.config.dtype_policy().name
    KerasRuntime(means, device=CPU, precision=precision)
    assert keras.config.dtype_policy().name == before

    def fail() -> Any:
        raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        KerasRuntime(fail, device=CPU, precision=precision)
    assert keras.config.dtype_policy().name == before


def test_a_finished_model_keeps_its_arithmetic() -> None:
    model = means()
    images = pictures(3)
    made = KerasRuntime(model, device=CPU, precision="f32")
    assert not made._tf.config.experimental.tensor_float_32_execution_enabled()
    np.testing.assert_allclose(made.embed(images), images.mean((1, 2)) / 256, rtol=1e-5)
    with pytest.raises(BackboneError, match="pass a function that builds"):
        KerasRuntime(model, device=CPU, precision="f16")


def test_int8_is_not_for_this_device() -> None:
    with pytest.raises(BackboneError, match="doesn't compute in int8"):
        KerasRuntime(means, device=CPU, precision="int8")


def test_a_missing_device_is_an_error() -> None:
    with pytest.raises(BackboneError, match=r"no device /GPU:7.*--device cpu"):
        KerasRuntime(means, device="/GPU:7")


def machine(
    monkeypatch: pytest.MonkeyPatch, openvino: dict[str, str], tensorflow: dict[str, str]
) -> None:
    """Makes up the devices of OpenVINO and TensorFlow, with their names."""
    core = SimpleNamespace(
        available_devices=list(openvino), get_property=lambda device, _: openvino[device]
    )
    config = SimpleNamespace(
        list_physical_devices=lambda _: [SimpleNamespace(name=name) for name in tensorflow],
        experimental=SimpleNamespace(
            get_device_details=lambda device: {"device_name": tensorflow[device.name]}
        ),
    )
    monkeypatch.setattr(gpu, "import_openvino", lambda: SimpleNamespace(Core=lambda: core))
    monkeypatch.setattr(gpu, "_import_tensorflow", lambda: SimpleNamespace(config=config))


def test_finds_an_intel_gpu_without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"CPU": "some Xeon", "GPU.0": "Arc A770 (dGPU)"}, {})
    monkeypatch.delattr(gpu, "_import_tensorflow")
    assert find_gpu() == Gpu("intel", "Arc A770 (dGPU)")


def test_finds_an_nvidia_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"CPU": "some Xeon"}, {"/physical_device:GPU:0": "RTX 4090"})
    assert find_gpu() == Gpu("cuda", "RTX 4090")


def test_a_machine_without_a_gpu_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"CPU": "some Xeon"}, {})
    with pytest.raises(BackboneError, match="no GPU") as caught:
        find_gpu()
    for word in ("intel-opencl-icd", "nvidia-smi", "'tensorflow[and-cuda]'", "--device cpu"):
        assert word in str(caught.value)


def test_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    tf = gpu._import_tensorflow()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"  # memory is left to others
    if tf.config.list_physical_devices("GPU") or "GPU" in str(
        import_openvino().Core().available_devices
    ):
        assert find_gpu().name
    else:
        with pytest.raises(BackboneError, match="no GPU"):
            find_gpu()
