"""Builds the backbones of the catalogue in Keras: 0..255 RGB in, one vector per image out."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tagkin.backbones.catalogue import OFFLINE_BACKBONE, get_spec
from tagkin.backbones.config import RANDOM_SEED, BackboneConfig
from tagkin.backbones.lite0 import build_lite0, load_packaged_weights
from tagkin.backbones.runtime import silence_telemetry
from tagkin.errors import BackboneError, WeightsError, first_line

_DOWNLOAD = "imagenet"

# Names of the last normalisation before a shortcut: of EfficientNetV2 and of ResNet.
_LAST_NORMS = ("project_bn", "_3_bn")


@cache
def import_keras() -> Any:
    """Imports Keras on the TensorFlow backend, without TensorFlow's start-up messages.

    What ``KERAS_BACKEND`` and ``~/.keras/keras.json`` say for other projects doesn't count here.

    Raises:
        BackboneError: This process has imported Keras on another backend before.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Else TensorFlow takes all of a GPU's memory as soon as it starts.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    silence_telemetry()  # Keras imports OpenVINO when it exports
    with _without_stderr():
        import keras

        keras.ops.zeros(())  # the first operation has more to say
    if keras.backend.backend() != "tensorflow":
        raise BackboneError(
            f"Keras runs on {keras.backend.backend()} in this process, and Tagkin needs it on "
            "tensorflow: import tagkin first, or set KERAS_BACKEND=tensorflow"
        )
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    return keras


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Sends what native code writes to stderr to nowhere.

    TensorFlow announces its processor options before its own log level is in force.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def build_model(config: BackboneConfig) -> Any:
    """Builds the backbone with its weights.

    Preprocessing (colour order, mean, scale) is the first part of the model.

    Returns:
        A ``keras.Model`` from float32 RGB ``(batch, size, size, 3)`` in 0..255 to float32
        ``(batch, dimension)``.

    Raises:
        WeightsError: The weights can't be downloaded, or the file doesn't fit.
    """
    keras = import_keras()
    if config.weights == "random":
        keras.utils.set_random_seed(RANDOM_SEED)
    builder = get_spec(config.architecture).builder
    if builder == "lite0":
        return _build_lite0(config)
    if builder == "vit":
        from tagkin.backbones.vit import build_vit  # it imports this module

        return build_vit(config)
    if config.weights == "imagenet":
        return _build_application(config, _DOWNLOAD)
    if config.weights == "random":
        model = _build_application(config, None)
        _damp_residuals(model)
        return model
    return _load_file(config)


def _build_lite0(config: BackboneConfig) -> Any:
    model = build_lite0(config.image_size)
    if config.weights == "imagenet":
        load_packaged_weights(model)
    elif config.weights != "random":
        path = Path(config.weights)
        if path.suffix == ".pth":
            load_packaged_weights(model, path)
        else:
            load_weights(model, path)
    return model


def _build_application(config: BackboneConfig, weights: str | None, top: bool = False) -> Any:
    keras = import_keras()
    builder = getattr(keras.applications, get_spec(config.architecture).builder)
    x = keras.Input((config.image_size, config.image_size, 3))
    if config.architecture == "resnet50":  # the others preprocess inside their own graph
        x = keras.applications.resnet.preprocess_input(x)
    # The classifier's layers are built only to read a file that has them.
    how = {"include_top": True} if top else {"include_top": False, "pooling": "avg"}
    try:
        # Keras announces a download on stdout, which belongs to the results of a command.
        with contextlib.redirect_stdout(sys.stderr):
            return builder(weights=weights, input_tensor=x, **how)
    except Exception as error:  # Keras wraps network failures in a plain Exception
        if weights != _DOWNLOAD:
            raise
        raise download_error(config.architecture, error) from error


def download_error(architecture: str, error: Exception) -> WeightsError:
    """Returns what to raise for a download that failed, with both ways out."""
    reason = first_line(error, most=None)
    return WeightsError(
        f"the ImageNet weights of {architecture} can't be downloaded ({reason}). "
        "Either fetch the file elsewhere and pass it with --weights FILE, or use the backbone "
        f"whose weights are installed: --model {OFFLINE_BACKBONE}"
    )


def _damp_residuals(model: Any) -> None:
    """Weakens what each block of a network with random weights adds to its shortcut.

    In EfficientNetV2-L the values would grow to 1e10, which half precision can't hold, and
    rounding alone would decide about the direction of the vectors.
    """
    for layer in model.layers:
        if layer.name.endswith(_LAST_NORMS):
            layer.gamma.assign(layer.gamma * 0.1)


def _load_file(config: BackboneConfig) -> Any:
    """Reads a weight file made with or without the ImageNet classifier."""
    path = Path(config.weights)
    model = _build_application(config, None)
    try:
        load_weights(model, path)
    except WeightsError as without_top:
        complete = _build_application(config, None, top=True)
        try:
            load_weights(complete, path)
        except WeightsError:
            raise without_top from None
        # Both list their weights in the order of the graph, the classifier's last.
        model.set_weights(complete.get_weights()[: len(model.weights)])
    return model


def load_weights(model: Any, path: Path) -> None:
    """Fills a Keras model with the weights of a ``.weights.h5``, ``.h5`` or ``.keras`` file.

    Raises:
        WeightsError: The file is of another kind, damaged, or doesn't fit.
    """
    if path.suffix not in {".h5", ".keras"} or path.name == ".h5":
        raise WeightsError(
            f"{path} is not a Keras weight file: its name must end in .weights.h5, .h5 or .keras"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # a line for each layer that doesn't fit
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a file that doesn't fit
        raise WeightsError(
            f"the weights in {path} don't fit {model.name}: {first_line(error, most=None)}"
        ) from error
