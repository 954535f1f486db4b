"""Runs an exported backbone with OpenVINO."""

import sys
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import BackboneError
from tagkin.hardware import has_bf16, has_vnni, limited_cores

#: Of the numbers while they are computed; the result is always float32.
Arithmetic = Literal["f32", "bf16", "f16", "int8"]

#: Note in an int8 graph whose weights use the whole range, so that sums overflow without VNNI.
NEEDS_VNNI = "tagkin_needs_vnni"

Key = TypeVar("Key", bound=Hashable)


class Embedder(Protocol):
    """The seam of all backbones: square images in, vectors out."""

    def embed_stream(
        self, images: Iterable[tuple[Key, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        """Yields each key with the vector of its image, in order.

        Args:
            images: Keys and uint8 RGB arrays of shape (size, size, 3).

        Yields:
            Keys and float32 arrays of shape (dimension,).
        """
        ...


def import_openvino() -> Any:
    """Imports OpenVINO with its telemetry off."""
    silence_telemetry()
    import openvino

    return openvino


def silence_telemetry() -> None:
    """Keeps ``openvino_telemetry`` from being imported in this process.

    OpenVINO counts a missing consent as a yes, writes an id into the home folder and reports to a
    server. With the module out of reach it falls back to its own stub, which does nothing. Must
    be called before the first import of ``openvino``.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class Runtime:
    """A compiled graph that embeds images, several at once.

    Attributes:
        input_shape: Of one image: (size, size, 3).
        requests: How many are under way at once.
    """

    def __init__(
        self,
        graph: Path,
        precision: Arithmetic,
        *,
        batch: int = 1,
        device: str = "CPU",
        threads: int | None = None,
    ) -> None:
        """Loads a graph.

        Args:
            graph: ``model.xml`` of an exported backbone.
            precision: Arithmetic of the vectors. What this processor can't do runs in f32, which
                is as exact at least.
            batch: Images a request; more than one can be faster, see `tuning`.
            device: OpenVINO's name of the device.
            threads: Of the processor, where others have their share of it; all if None.

        Raises:
            BackboneError: OpenVINO can't load the graph, or it is an int8 graph that would give
                wrong vectors on this processor.
        """
        ov = import_openvino()
        core = ov.Core()
        try:
            model = core.read_model(graph)
            if model.has_rt_info(NEEDS_VNNI) and not has_vnni():
                raise BackboneError(
                    "this int8 graph was made on a processor with VNNI and gives wrong vectors on "
                    "one without, such as this: use --precision f32, or make one here with "
                    "'tagkin embed --precision int8'"
                )
            if batch > 1:
                model.reshape([batch, *model.input(0).shape[1:]])
            told = properties(precision, device, threads)
            self._compiled = core.compile_model(model, device, told)
            shape = self._compiled.output(0).shape
        except RuntimeError as error:
            raise BackboneError(f"OpenVINO can't load {graph}: {error}") from error
        if batch > 1 and shape[0] != batch:  # such as a reshape to a fixed shape makes
            raise BackboneError(f"{graph} is made for single images")
        self._ov = ov
        self._batch = batch
        self.requests = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.input_shape: tuple[int, ...] = tuple(self._compiled.input(0).shape)[1:]
        self._dimension = int(shape[1])

    def embed_stream(
        self, images: Iterable[tuple[Key, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        """Yields each key with the vector of its image, in order; several are under way at once.

        Raises:
            BackboneError: An image has another shape than the graph takes.
        """
        # Requests in a ring, each awaited in turn: OpenVINO's AsyncInferQueue with a callback in
        # Python can wait for ever when it is freed while a callback still needs the interpreter.
        idle = [
            _Request(self._compiled.create_infer_request(), self._pixels())
            for _ in range(self.requests)
        ]
        for request in idle:
            request.infer.set_input_tensor(self._ov.Tensor(request.pixels, shared_memory=True))
        running: deque[_Request] = deque()
        filling: _Request | None = None
        try:
            for key, image in images:
                self._check(image)
                if filling is None:
                    if not idle:
                        yield from self._take(running, idle)
                    filling = idle.pop()
                filling.pixels[len(filling.keys)] = image
                filling.keys.append(key)
                if len(filling.keys) == self._batch:
                    filling.infer.start_async()
                    running.append(filling)
                    filling = None
            if filling is not None:  # the rest of its images are those of an earlier batch
                filling.infer.start_async()
                running.append(filling)
            while running:
                yield from self._take(running, idle)
        finally:
            for request in running:  # which reads pixels that would be freed otherwise
                request.infer.wait()

    @staticmethod
    def _take(
        running: "deque[_Request]", idle: "list[_Request]"
    ) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        request = running.popleft()
        request.infer.wait()
        vectors = request.infer.get_output_tensor(0).data.copy()
        keys, request.keys = request.keys, []
        idle.append(request)
        yield from zip(keys, vectors, strict=False)

    def _pixels(self) -> NDArray[np.uint8]:
        return np.zeros((self._batch, *self.input_shape), np.uint8)

    def _check(self, image: NDArray[np.uint8]) -> None:
        if image.shape != self.input_shape or image.dtype != np.uint8:
            raise BackboneError(
                f"the backbone takes uint8 images of shape {self.input_shape}, not "
                f"{image.dtype} of shape {image.shape}"
            )

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the vectors of a batch.

        Args:
            images: uint8 RGB of shape (images, size, size, 3).

        Returns:
            float32 of shape (images, dimension).
        """
        vectors = np.empty((len(images), self._dimension), np.float32)
        for place, vector in self.embed_stream(enumerate(images)):
            vectors[place] = vector
        return vectors


@dataclass
class _Request:
    """One request of OpenVINO's, with the pixels that it reads and whose they are."""

    infer: Any
    pixels: NDArray[np.uint8]
    keys: list[Any] = field(default_factory=list)


def properties(
    precision: Arithmetic, device: str = "CPU", threads: int | None = None
) -> dict[str, Any]:
    """Returns what OpenVINO is told when it compiles a graph to be run with many requests."""
    told: dict[str, Any] = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": _hint(precision, device),
    }
    cores = limited_cores() if device == "CPU" else None
    if cores:  # OpenVINO sees which cores it may use, but not for how much of the time
        told["INFERENCE_NUM_THREADS"] = cores
    if threads:
        # Left to itself, each process would keep its threads on the same first cores.
        told |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return told


def _hint(precision: Arithmetic, device: str) -> str:
    if precision == "bf16" and not has_bf16():
        return "f32"
    if precision == "f16":
        return "f16" if device.startswith("GPU") else "f32"
    # An int8 graph says itself what runs in int8; the rest of it runs in f32.
    return "f32" if precision == "int8" else precision
