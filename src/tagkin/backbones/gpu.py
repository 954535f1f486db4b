"""Embedding on a GPU: Keras runs on an NVIDIA GPU; an Intel GPU is only looked for here."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.keras_models import import_keras
from tagkin.backbones.runtime import Arithmetic, Key, import_openvino
from tagkin.errors import BackboneError

# Variables stay float32 in the mixed policies, and normalisations compute in float32.
_POLICIES = {"f32": "float32", "bf16": "mixed_bfloat16", "f16": "mixed_float16"}
_IN_FLIGHT = 2
_COPY_FAILED = "Dst tensor is not initialized"  # what TensorFlow says of a device that is full
_LACKS_MEMORY = "lacks memory for {}: close what else uses it, or choose --device cpu"
_USE_F32 = "use --precision f32"
# Both packages go first because they own the same files: removing one later breaks the other.
_NO_GPU = (
    "found no GPU. OpenVINO sees no Intel GPU, which needs its driver (on Linux the package "
    "intel-opencl-icd, and membership in the group render). TensorFlow sees no NVIDIA GPU: if "
    "nvidia-smi lists one, then on Linux or in WSL2 this installs what is missing: pip uninstall "
    "-y tensorflow tensorflow-cpu && pip install 'tensorflow[and-cuda]'. Or leave the GPU out: "
    "--device cpu"
)

# Keys whose vectors are under way, and the tensor that is going to hold those.
_Running = deque[tuple[list[Any], Any]]


@dataclass(frozen=True)
class Gpu:
    """A GPU: ``cuda`` is for `KerasRuntime`, ``intel`` for a `Runtime` on the device ``GPU``."""

    kind: Literal["cuda", "intel"]
    name: str


def find_gpu() -> Gpu:
    """Returns Intel's GPU if OpenVINO sees one, else the one that TensorFlow sees.

    Raises:
        BackboneError: There is none, or what it needs isn't installed.
    """
    core = import_openvino().Core()  # much quicker to import than TensorFlow
    for device in core.available_devices:
        if device.startswith("GPU"):
            return Gpu("intel", str(core.get_property(device, "FULL_DEVICE_NAME")))
    tf = _import_tensorflow()
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        return Gpu("cuda", str(details.get("device_name", device.name)))
    raise BackboneError(_NO_GPU)


def _import_tensorflow() -> Any:
    # Memory of the GPU is taken as needed, not all at once. `import_keras` starts the devices,
    # after which it would be too late for tf.config.experimental.set_memory_growth.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import_keras()
    import tensorflow

    return tensorflow


class KerasRuntime:
    """A Keras model on a device of TensorFlow's; see `tagkin.backbones.runtime.Embedder`."""

    def __init__(
        self, model: Any, *, device: str = "/GPU:0", precision: Arithmetic = "f16", batch: int = 32
    ) -> None:
        """Builds the model on the device.

        Args:
            model: A function that returns a ``keras.Model`` from float32 RGB
                ``(batch, size, size, 3)`` in 0..255 to ``(batch, dimension)``; or such a model,
                which keeps the arithmetic and the device it was built with.
            device: TensorFlow's name of the device, such as ``/GPU:0``.
            precision: ``f16``, ``bf16`` or ``f32``; variables are float32 in any case.
            batch: Images a batch; halved for good when the device lacks memory for so many.

        Raises:
            BackboneError: There is no such device, it lacks memory for the model, or the
                precision is another one or not that of a finished model; or from the function.
        """
        self._tf = tf = _import_tensorflow()
        self._device, self._precision, self._batch = device, precision, batch
        # Where a device is missing, TensorFlow would silently take the processor.
        if f"/device:{device[1:]}" not in [d.name for d in tf.config.list_logical_devices()]:
            raise BackboneError(f"TensorFlow has no device {device}: {_NO_GPU}")
        if precision not in _POLICIES:
            raise BackboneError(f"{device} doesn't compute in {precision}: {_USE_F32}")
        if precision == "f32":  # which TensorFlow shortens to 19 bits in convolutions otherwise
            tf.config.experimental.enable_tensor_float_32_execution(False)
        model = self._attempt(lambda: _build(model, _POLICIES[precision]))
        if model is None:
            raise BackboneError(f"{device} {_LACKS_MEMORY.format('the backbone')}")
        self._input_shape = tuple(model.input_shape[1:])
        self._dimension = int(model.output_shape[-1])

        def forward(pixels: Any) -> Any:
            return tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)

        self._forward = tf.function(forward, autograph=False)  # traced once for each batch size

    def embed_stream(
        self, images: Iterable[tuple[Key, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        """Yields each key with the vector of its image, in order; two batches are under way.

        Raises:
            BackboneError: An image has another shape than the model takes, the device fails, or
                numbers in the model leave the range of the precision.
        """
        running: _Running = deque()
        keys: list[Key] = []
        for key, image in images:
            if image.shape != self._input_shape or image.dtype != np.uint8:
                raise BackboneError(
                    f"the backbone takes uint8 images of shape {self._input_shape}, not "
                    f"{image.dtype} of shape {image.shape}"
                )
            if not keys:  # new memory, because TensorFlow may read the old one's still
                pixels = np.zeros((self._batch, *self._input_shape), np.uint8)
            pixels[len(keys)] = image
            keys.append(key)
            if len(keys) == len(pixels):
                yield from self._exchange(keys, pixels, running)
                keys = []
        if keys:
            yield from self._exchange(keys, pixels, running)
        while running:
            yield from self._take(running)

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns float32 vectors (images, dimension) of uint8 RGB (images, size, size, 3)."""
        vectors = np.empty((len(images), self._dimension), np.float32)
        for place, vector in self.embed_stream(enumerate(images)):
            vectors[place] = vector
        return vectors

    def _exchange(
        self, keys: list[Any], pixels: NDArray[np.uint8], running: _Running
    ) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        """Sends images to the device, in parts if need be, and yields what is ready before."""
        while keys:
            size = self._batch
            part = pixels[:size]
            if len(part) < size:  # the rest of an odd batch that was halved
                part = np.resize(part, (size, *part.shape[1:]))
            vectors = self._attempt(self._forward, part)
            if vectors is not None:
                running.append((keys[:size], vectors))
                keys, pixels = keys[size:], pixels[size:]
                if len(running) == _IN_FLIGHT:  # not before, which would leave the device idle
                    yield from self._take(running)
            elif size > 1:
                self._batch = size // 2
            else:
                raise BackboneError(f"{self._device} {_LACKS_MEMORY.format('one image')}")

    def _take(self, running: _Running) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        keys, result = running.popleft()
        vectors = result.numpy()[: len(keys)]  # waits for the device
        in_range = np.isfinite(vectors).all() and vectors.any()
        if not in_range and self._precision != "f32":
            raise BackboneError(f"the numbers leave the range of {self._precision}: {_USE_F32}")
        yield from zip(keys, vectors, strict=True)

    def _attempt(self, work: Callable[..., Any], *inputs: Any) -> Any:
        """Returns what the work on the device gives, or None if the device lacks memory for it.

        The error ends here, before anything else is tried: its traceback would keep tensors alive.
        """
        errors = self._tf.errors
        try:
            with self._tf.device(self._device):
                return work(*map(self._tf.convert_to_tensor, inputs))
        except errors.OpError as error:
            if isinstance(error, errors.ResourceExhaustedError) or _COPY_FAILED in str(error):
                return None
            raise BackboneError(f"{self._device} can't run the backbone: {error}") from error


def _build(source: Any, policy: str) -> Any:
    keras = import_keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # of what is built from now on
    try:
        model = source if isinstance(source, keras.Model) else source()
    finally:
        keras.config.set_dtype_policy(before)
    if model.dtype_policy.name != policy:
        raise BackboneError(f"pass a function that builds {model.name}, since it isn't {policy}")
    return model
