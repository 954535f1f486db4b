"""The Vision Transformer of Keras Hub, which is an optional package.

The architecture is ViT-L/16 (Dosovitskiy et al., 2020, arXiv:2010.11929). Its weights are those of
Keras Hub's preset ``vit_large_patch16_384_imagenet``, which its conversion script made from Hugging
Face's ``google/vit-large-patch16-384``: trained on ImageNet-21k at 224 pixels, then on ImageNet-1k
at 384. Preprocessing and pooling are as in that preset's classifier: pixels from -1 to 1, and the
class token after the last normalisation goes into the classifying layer.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tagkin.backbones.catalogue import get_spec
from tagkin.backbones.config import RANDOM_SEED, BackboneConfig
from tagkin.backbones.keras_models import (
    download_error,
    import_keras,
    load_weights,
)
from tagkin.errors import BackboneError, WeightsError, first_line

_PRESET = "vit_large_patch16_384_imagenet"

# Mean and standard deviation are 0.5 of values in 0..1, for all three colours.
_SCALE, _OFFSET = 1 / 127.5, -1.0

# Seconds for a connection, and between two pieces of an answer.
_PATIENCE = (15.0, 60.0)

_IMAGENET_CLASSES = 1000


class VitShape(NamedTuple):
    """What fixes the shapes of a Vision Transformer's weights, but for the image size."""

    patch_size: int
    layers: int
    heads: int
    dimension: int
    mlp_dimension: int


#: ViT-L/16, as in ``config.json`` of the preset.
VIT_LARGE = VitShape(patch_size=16, layers=24, heads=16, dimension=1024, mlp_dimension=4096)


def import_keras_hub() -> Any:
    """Imports Keras Hub, on the Keras that Tagkin has set up.

    Raises:
        BackboneError: The package is not installed, or its import fails.
    """
    import_keras()
    try:
        # On its import, kagglehub binds its messages to what is stdout at that time.
        with contextlib.redirect_stdout(sys.stderr):
            import keras_hub
    except ImportError as error:
        if error.name == "keras_hub":
            raise BackboneError(
                "vit-large needs the package keras-hub, which is not installed: run "
                "pip install tagkin[vit]"
            ) from error
        raise BackboneError(
            f"vit-large needs the package keras-hub, which can't be imported ({error}): run "
            "pip install --upgrade tagkin[vit]"
        ) from error
    return keras_hub


def build_vit(config: BackboneConfig, shape: VitShape = VIT_LARGE) -> Any:
    """Builds a Vision Transformer with its weights.

    Args:
        config: Its weights are ``imagenet`` (a download of 1.2 GB by kagglehub, without an
            account), ``random``, a Keras weight file of a ``ViTBackbone`` or of a
            ``ViTImageClassifier``, or a preset folder of either.
        shape: Another one than ViT-L/16, for tests.

    Returns:
        A ``keras.Model`` from float32 RGB ``(batch, size, size, 3)`` in 0..255 to float32
        ``(batch, dimension)``: the class token, as the classifier's last layer sees it.

    Raises:
        BackboneError: Keras Hub is missing, or the image size is impossible with these weights.
        WeightsError: The weights can't be downloaded, or don't fit.
    """
    _check_size(config, shape)
    hub = import_keras_hub()
    if config.weights == "imagenet":
        backbone = _download(hub, config)
    elif config.weights == "random":
        # Once more: the first import of Keras Hub may have drawn random numbers.
        import_keras().utils.set_random_seed(RANDOM_SEED)
        backbone = _new_backbone(hub, config, shape)
    elif Path(config.weights).is_dir():
        backbone = _load_preset(hub, config, shape)
    else:
        backbone = _load_file(hub, config, shape)
    return _embedder(backbone, config)


def _check_size(config: BackboneConfig, shape: VitShape) -> None:
    own = get_spec(config.architecture).image_size
    if config.weights == "imagenet" and config.image_size != own:
        # The position embeddings belong to a grid of patches; Keras Hub can't interpolate them.
        raise BackboneError(
            f"{config.architecture} with its ImageNet weights takes images of {own} pixels only, "
            f"not {config.image_size}: leave --image-size out"
        )
    if config.image_size % shape.patch_size:
        raise BackboneError(
            f"{config.architecture} cuts images into patches of {shape.patch_size} pixels: "
            f"--image-size must be a multiple of that, and {config.image_size} is not"
        )


def _embedder(backbone: Any, config: BackboneConfig) -> Any:
    keras = import_keras()
    inputs = keras.Input((config.image_size, config.image_size, 3))
    x = keras.layers.Rescaling(_SCALE, offset=_OFFSET, name="rescale")(inputs)
    tokens = backbone(x)
    return keras.Model(inputs, tokens[:, 0], name=config.architecture)


def _new_backbone(hub: Any, config: BackboneConfig, shape: VitShape) -> Any:
    return hub.models.ViTBackbone(
        image_shape=(config.image_size, config.image_size, 3),
        patch_size=shape.patch_size,
        num_layers=shape.layers,
        num_heads=shape.heads,
        hidden_dim=shape.dimension,
        mlp_dim=shape.mlp_dimension,
        layer_norm_epsilon=1e-6,
        dtype="float32",
        name=config.architecture,
    )


def _download(hub: Any, config: BackboneConfig) -> Any:
    try:
        with _kagglehub_tamed():
            return hub.models.ViTBackbone.from_preset(_PRESET, dtype="float32")
    except Exception as error:  # of kagglehub, requests, the file system and Keras
        raise download_error(config.architecture, error) from error


@contextlib.contextmanager
def _kagglehub_tamed() -> Iterator[None]:
    """Keeps kagglehub from writing to stdout, and from waiting for a dead network for ever.

    Its messages go to a handler made when it was imported, and its requests have no time limit:
    a network that swallows packets would hold the process for minutes, a stalled answer for good.
    """
    from requests import adapters  # which kagglehub depends on

    http: Any = adapters.HTTPAdapter
    send = http.send

    def send_with_limit(adapter: Any, request: Any, **how: Any) -> Any:
        return send(adapter, request, **{**how, "timeout": how.get("timeout") or _PATIENCE})

    handlers = [
        handler
        for handler in logging.getLogger("kagglehub").handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    streams = [handler.setStream(sys.stderr) for handler in handlers]
    http.send = send_with_limit
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        http.send = send
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:  # it was another one
                handler.setStream(stream)


def _load_preset(hub: Any, config: BackboneConfig, shape: VitShape) -> Any:
    folder = Path(config.weights)
    try:
        backbone = hub.models.ViTBackbone.from_preset(str(folder), dtype="float32")
    except Exception as error:  # Keras Hub, Keras and h5py raise many kinds
        raise WeightsError(
            f"the preset {folder} doesn't fit {config.architecture}: {first_line(error, most=None)}"
        ) from error
    found = VitShape(
        backbone.patch_size[0],
        backbone.num_layers,
        backbone.num_heads,
        backbone.hidden_dim,
        backbone.mlp_dim,
    )
    size = backbone.image_shape[0]
    if found != shape or not backbone.use_class_token:
        raise WeightsError(
            f"the preset {folder} is another network than {config.architecture}: "
            f"{found.layers} layers of {found.dimension} channels, patches of {found.patch_size} "
            f"pixels, {'a' if backbone.use_class_token else 'no'} class token"
        )
    if size != config.image_size:
        raise WeightsError(
            f"the preset {folder} takes images of {size} pixels: set --image-size {size}"
        )
    return backbone


def _load_file(hub: Any, config: BackboneConfig, shape: VitShape) -> Any:
    """Reads a weight file of the network, with or without a classifier."""
    path = Path(config.weights)
    backbone = _new_backbone(hub, config, shape)
    try:
        load_weights(backbone, path)
        return backbone
    except WeightsError as error:
        without_top = error
    keras = import_keras()
    inputs = keras.Input(backbone.input_shape[1:])
    # Keras passes over what a file has besides: a classifier of any kind.
    wrapped = [keras.Model(inputs, backbone(inputs))]
    if not path.name.endswith(".weights.h5"):
        # A file of the older format must have as many layers as the model.
        wrapped.append(hub.models.ViTImageClassifier(backbone, _IMAGENET_CLASSES))
    for model in wrapped:
        with contextlib.suppress(WeightsError):
            load_weights(model, path)
            return backbone
    own = get_spec(config.architecture).image_size
    if config.image_size == own:
        raise without_top
    raise WeightsError(
        f"{without_top} (a file fits the image size that it was made with only: leave --image-size "
        f"out for {own})"
    ) from without_top
