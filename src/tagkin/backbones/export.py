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
from tagkin.backbones.graphs import lowest_cosine, save_smallest, smooth_images, take_pixels
from tagkin.backbones.keras_models import build_model
from tagkin.backbones.runtime import import_openvino
from tagkin.errors import BackboneError

# Rounding in other places of a deep network moves single values, hardly ever the direction.
_MIN_COSINE = 0.9999


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
    graph.reshape([1, size, size, 3])
    images = smooth_images(size)
    expected = np.asarray(model.predict(images.astype(np.float32), batch_size=1, verbose=0))

    def check(vectors: NDArray[np.float32]) -> None:
        cosine = lowest_cosine(vectors, expected)
        if not np.isfinite(expected).all() or cosine < _MIN_COSINE:
            raise BackboneError(
                f"the exported graph of {model.name} doesn't compute what Keras does (lowest "
                f"cosine {cosine:.5f}): please report this with the versions of keras and openvino"
            )

    save_smallest(take_pixels(graph), folder, images, check)
    for suffix in (".xml", ".bin"):
        exported.with_suffix(suffix).unlink(missing_ok=True)


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
