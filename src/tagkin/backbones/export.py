"""A Keras backbone into an OpenVINO graph: uint8 pixels in, float32 vectors out."""

import contextlib
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.config import BackboneConfig
from tagkin.backbones.keras_models import build_model
from tagkin.backbones.runtime import Runtime, import_openvino
from tagkin.errors import BackboneError

# Rounding in other places of a deep network moves single values, hardly ever the direction.
_MIN_COSINE_EXPORT = 0.9999
_MIN_COSINE_F16 = 0.99999
_CHECK_IMAGES = 4


def export_graph(config: BackboneConfig, folder: Path) -> None:
    """Writes ``model.xml`` and ``model.bin`` of a backbone into a folder; see `export_model`.

    Args:
        config: Which backbone; its fit and precision don't matter here.
        folder: An existing folder.

    Raises:
        WeightsError: The weights are not to be had or don't fit.
        BackboneError: The exported graph doesn't compute what the Keras model does.
    """
    export_model(build_model(config), folder)


def export_model(model: Any, folder: Path) -> None:
    """Writes ``model.xml`` and ``model.bin`` of a Keras model into a folder.

    The graph is cut down to the model's output (Keras's export of EfficientNetV2 carries 204
    outputs, each of which OpenVINO would keep in memory), gets a fixed input shape of one uint8
    image, and is compared with the Keras model. Weights are stored in half precision if the
    vectors stay the same to a cosine of 0.99999, else in single precision.

    Args:
        model: A ``keras.Model`` from RGB ``(batch, size, size, 3)`` to ``(batch, dimension)``.
        folder: An existing folder.

    Raises:
        BackboneError: The exported graph doesn't compute what the Keras model does.
    """
    ov = import_openvino()
    size = int(model.input_shape[1])
    exported = folder / "keras.xml"
    with _tensorflow_version_told():
        model.export(str(exported), format="openvino", verbose=False)
    graph = ov.Core().read_model(exported)
    embedding = graph.outputs[0].get_node()
    graph = ov.Model([embedding], graph.get_parameters(), model.name)
    graph = _accept_uint8(ov, graph, size)

    images = _check_images(size)
    expected = np.asarray(model.predict(images.astype(np.float32), batch_size=1, verbose=0))
    single, half = folder / "single.xml", folder / "half.xml"
    ov.save_model(graph, single, compress_to_fp16=False)
    ov.save_model(graph, half, compress_to_fp16=True)
    vectors = _run(single, images)
    if not np.isfinite(expected).all() or _cosine(vectors, expected) < _MIN_COSINE_EXPORT:
        raise BackboneError(
            f"the exported graph of {model.name} doesn't compute what Keras does (lowest "
            f"cosine {_cosine(vectors, expected):.5f}): please report this with the versions of "
            "keras and openvino"
        )
    keep = half if _cosine(_run(half, images), vectors) >= _MIN_COSINE_F16 else single
    for suffix in (".xml", ".bin"):
        keep.with_suffix(suffix).rename(folder / f"model{suffix}")
    for name in ("keras", "single", "half"):
        for suffix in (".xml", ".bin"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


@contextlib.contextmanager
def _tensorflow_version_told() -> Iterator[None]:
    """Lets OpenVINO find out TensorFlow's version on Python 3.13 and later.

    OpenVINO 2026.4 does it with ``exec("import tensorflow")`` and then ``exec("del tensorflow")``,
    which fails there, since an ``exec`` no longer sees what an earlier one did to the locals of a
    function (PEP 667; see openvinotoolkit/openvino pull request 32482).
    """
    import tensorflow
    from openvino.frontend.tensorflow import utils

    def environment(_framework: str) -> dict[str, str]:
        return {
            "python_version": platform.python_version(),
            "sys_platform": sys.platform,
            "tensorflow": tensorflow.__version__,
        }

    asked = utils.get_environment_setup
    utils.get_environment_setup = environment
    try:
        yield
    finally:
        utils.get_environment_setup = asked


def _accept_uint8(ov: Any, graph: Any, size: int) -> Any:
    graph.reshape([1, size, size, 3])
    steps = ov.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().preprocess().convert_element_type(ov.Type.f32)
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def _check_images(size: int) -> NDArray[np.uint8]:
    """Smooth random pictures: nearer to photographs than noise, and needing no file."""
    from PIL import Image

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (_CHECK_IMAGES, 12, 12, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((size, size))) for s in small])


def _run(graph: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return Runtime(graph, "f32").embed(images)


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Returns the lowest cosine between the rows of two matrices; 0 if a value is not finite."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.maximum(norms, 1e-30)
    return float(np.nan_to_num(cosines, nan=0.0).min())
