"""Runs an exported backbone with OpenVINO."""

import sys
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import BackboneError

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
    """A compiled graph that embeds images, several at once."""

    def __init__(self, graph: Path, precision: Literal["f32", "bf16"]) -> None:
        ov = import_openvino()
        properties = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": {"f32": "f32", "bf16": "bf16"}[precision],
        }
        try:
            self._compiled = ov.Core().compile_model(graph, "CPU", properties)
        except RuntimeError as error:
            raise BackboneError(f"OpenVINO can't load {graph}: {error}") from error
        self._ov = ov
        self._requests = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._input_shape = tuple(self._compiled.input(0).shape)[1:]
        self._dimension = int(self._compiled.output(0).shape[1])

    def embed_stream(
        self, images: Iterable[tuple[Key, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        """Yields each key with the vector of its image, in order; several are under way at once.

        Raises:
            BackboneError: An image has another shape than the graph takes.
        """
        # Requests in a ring, each awaited in turn: OpenVINO's AsyncInferQueue with a callback in
        # Python can wait for ever when it is freed while a callback still needs the interpreter.
        idle = [self._compiled.create_infer_request() for _ in range(self._requests)]
        running: deque[tuple[Key, Any]] = deque()
        for key, image in images:
            if image.shape != self._input_shape or image.dtype != np.uint8:
                raise BackboneError(
                    f"the backbone takes uint8 images of shape {self._input_shape}, not "
                    f"{image.dtype} of shape {image.shape}"
                )
            if not idle:
                yield self._take(running, idle)
            request = idle.pop()
            request.set_input_tensor(self._ov.Tensor(np.ascontiguousarray(image[None])))
            request.start_async()
            running.append((key, request))
        while running:
            yield self._take(running, idle)

    @staticmethod
    def _take(running: deque[tuple[Key, Any]], idle: list[Any]) -> tuple[Key, NDArray[np.float32]]:
        key, request = running.popleft()
        request.wait()
        vector = request.get_output_tensor(0).data[0].copy()
        idle.append(request)
        return key, vector

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
