"""What every export ends with: pixels in, vectors out, and weights no larger than they need be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.runtime import Runtime, import_openvino
from tagkin.errors import BackboneError

Layout = Literal["NCHW", "NHWC"]

_MIN_COSINE_F16 = 0.99999


def take_pixels(
    graph: Any,
    layout: Layout = "NHWC",
    *,
    reverse_channels: bool = False,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> Any:
    """Returns a graph that takes the pixels of one image as they are decoded.

    Args:
        graph: An ``openvino.Model`` with one input, of fixed shape, and one output.
        layout: Of its input.
        reverse_channels: Whether it takes BGR.
        mean: Three numbers that are subtracted from the pixels, which are 0 to 255, in the order
            of the graph's channels; none if empty.
        std: Three numbers that the difference is divided by; none if empty.

    Returns:
        An ``openvino.Model`` from uint8 RGB of shape (1, size, size, 3) to float32.
    """
    ov = import_openvino()
    steps = ov.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout(layout))
    pixels = steps.input().preprocess()
    pixels.convert_element_type(ov.Type.f32)
    if reverse_channels:
        pixels.reverse_channels()
    if len(mean):
        pixels.mean(list(mean))
    if len(std):
        pixels.scale(list(std))
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def save_smallest(
    graph: Any,
    folder: Path,
    images: NDArray[np.uint8],
    check: Callable[[NDArray[np.float32]], None],
) -> None:
    """Writes ``model.xml`` and ``model.bin``, if the vectors are as they should be.

    Weights are stored in half precision if the vectors stay the same to a cosine of 0.99999, else
    in single precision.

    Args:
        graph: An ``openvino.Model`` that `take_pixels` returned.
        folder: An existing folder.
        images: uint8 RGB of shape (images, size, size, 3) to compare the vectors of.
        check: Given the vectors in single precision, float32 of shape (images, dimension); raises
            if they are wrong, and nothing is written then.

    Raises:
        BackboneError: The graph can't be run.
        RuntimeError: OpenVINO can't write the files; the disk may be full.
    """
    ov = import_openvino()
    single, half = folder / "single.xml", folder / "half.xml"
    try:
        ov.save_model(graph, single, compress_to_fp16=False)
        vectors = _run(single, images)
        check(vectors)
        ov.save_model(graph, half, compress_to_fp16=True)
        same = lowest_cosine(_run(half, images), vectors) >= _MIN_COSINE_F16
        keep = half if same else single
        for suffix in (".xml", ".bin"):
            keep.with_suffix(suffix).rename(folder / f"model{suffix}")
    finally:
        for path in (single, half):
            path.unlink(missing_ok=True)
            path.with_suffix(".bin").unlink(missing_ok=True)


def smooth_images(size: int, count: int = 4) -> NDArray[np.uint8]:
    """Returns smooth random pictures: nearer to photographs than noise, and needing no file.

    Args:
        size: Pixels a side.
        count: How many.

    Returns:
        uint8 of shape (count, size, size, 3), the same in every call.
    """
    from PIL import Image

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 12, 12, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((size, size))) for s in small])


def lowest_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Returns the lowest cosine between the rows of two matrices; 0 if a value is not finite."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(norms, 1e-30)
    return float(np.nan_to_num(cosines, nan=0.0).min())


def _run(graph: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    runtime = Runtime(graph, "f32")
    try:
        return runtime.embed(images)
    except RuntimeError as error:
        raise BackboneError(f"OpenVINO can't run the exported graph: {error}") from error
