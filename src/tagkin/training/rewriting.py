"""The same network written in other layers, with the same weights.

Two backbones come from their makers in a form that can't be cut or is slow to train: the Vision
Transformer of Keras Hub is three layers, one of which holds all its blocks, and the ConvNeXt of
Keras Applications has a grouped convolution where a depthwise one would do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagkin.backbones.keras_models import import_keras


@dataclass(frozen=True)
class Twin:
    """A depthwise convolution that is trained in place of an equal grouped one.

    On one block of ConvNeXt-Large, forward and backward take a thirtieth of the time.

    Attributes:
        grouped: ``Conv2D`` with as many groups as channels; kernel (height, width, 1, channels).
        depthwise: ``DepthwiseConv2D``; kernel (height, width, channels, 1).
    """

    grouped: Any
    depthwise: Any

    def store(self) -> None:
        """Copies the trained weights back into the grouped convolution."""
        kernel, *bias = self.depthwise.get_weights()
        self.grouped.set_weights([np.swapaxes(kernel, 2, 3), *bias])


def rewrite(model: Any) -> tuple[Any, tuple[Twin, ...]]:
    """Puts depthwise convolutions where a functional model has grouped ones of one channel each.

    Returns:
        A model that shares all other layers, and the convolutions that it has instead; the model
        itself and nothing if there are none.
    """
    keras = import_keras()
    twins = {
        id(layer): _make_twin(keras, layer) for layer in model.layers if _is_depthwise(keras, layer)
    }
    if not twins:
        return model, ()

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        twin = twins.get(id(operation))
        return (twin.depthwise if twin else operation)(*args, **kwargs)

    return _replay(model, call), tuple(twins.values())


def unroll(model: Any) -> Any:
    """Takes a Vision Transformer apart, so that each of its encoder blocks is a layer.

    Returns:
        A functional model that shares all weights; ``model`` itself if it is another network.
    """
    if vit_backbone(model) is None:
        return model

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_a(operation, "ViTBackbone"):
            x = args[0]
            for layer in operation.layers[1:]:  # without its input; one follows the other
                x = call(layer, x)
            return x
        if _is_a(operation, "ViTEncoder"):
            x = operation.dropout(args[0])
            for block in operation.encoder_layers:
                x = block(x)
            return operation.layer_norm(x)
        return operation(*args, **kwargs)

    return _replay(model, call)


def vit_backbone(model: Any) -> Any | None:
    """Returns the ``ViTBackbone`` of Keras Hub inside a model; None if it has none."""
    return next((layer for layer in model.layers if _is_a(layer, "ViTBackbone")), None)


def encoder_blocks(model: Any) -> list[Any]:
    """Returns the encoder blocks among the layers of a model that `unroll` made."""
    return [layer for layer in model.layers if _is_a(layer, "ViTEncoderBlock")]


def _replay(model: Any, call: Callable[..., Any]) -> Any:
    """Returns a model that calls the same operations on a new input, by a function."""
    return import_keras().models.clone_model(
        model, clone_function=lambda layer: layer, call_function=call
    )


def _is_a(operation: Any, name: str) -> bool:
    # By name, since importing Keras Hub takes seconds, and it may not be installed.
    kinds = type(operation).__mro__
    return any(kind.__name__ == name and kind.__module__.startswith("keras_hub") for kind in kinds)


def _is_depthwise(keras: Any, layer: Any) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups > 1
        and layer.groups == layer.filters == layer.kernel.shape[3]
        and layer.kernel.shape[2] == 1
        and layer.data_format == "channels_last"
    )


def _make_twin(keras: Any, grouped: Any) -> Twin:
    depthwise = keras.layers.DepthwiseConv2D(
        grouped.kernel_size,
        strides=grouped.strides,
        padding=grouped.padding,
        dilation_rate=grouped.dilation_rate,
        activation=grouped.activation,
        use_bias=grouped.use_bias,
        name=f"{grouped.name}_twin",
    )
    kernel, *bias = grouped.get_weights()
    depthwise.build((None, None, None, grouped.filters))
    depthwise.set_weights([np.swapaxes(kernel, 2, 3), *bias])
    depthwise.trainable = grouped.trainable
    return Twin(grouped, depthwise)
