"""Cuts a backbone in two: a frozen trunk, which runs once, and the tail that is trained.

A backbone in Keras is a graph of operations. Where one tensor only goes from the earlier ones to
the later ones, the graph can be cut, and `tail(trunk(x))` is what the whole computes.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagkin.backbones import BackboneConfig
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.errors import BackboneError
from tagkin.files import checksum, working_folder
from tagkin.training.rewriting import Twin, encoder_blocks, rewrite, unroll, vit_backbone

#: Layers that are trained unless the settings say otherwise, as in the published recipe.
TRAINABLE_LAYERS = 50
#: Likewise of a Vision Transformer, whose blocks are far larger.
TRAINABLE_BLOCKS = 4

_WEIGHTS_SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class Cut:
    """A backbone in two parts that share its weights.

    Attributes:
        full: The whole model, as `build_model` made it.
        trunk: From float32 RGB ``(batch, size, size, 3)`` in 0..255 to the boundary.
        tail: From the boundary to ``(batch, dimension)``. Call it with ``training=False``.
        boundary: Name of the operation whose output the boundary is; not the same in each process.
        boundary_shape: Of the tensor that goes from trunk to tail, without the batch.
        place: Number of operations up to the boundary, which is the same in each process.
        trainable_layers: Names of the layers that are trained.
        twins: Layers of the tail that are trained in place of some of the full model's.
    """

    full: Any
    trunk: Any
    tail: Any
    boundary: str
    boundary_shape: tuple[int, ...]
    place: int
    trainable_layers: tuple[str, ...]
    twins: tuple[Twin, ...] = ()

    def store(self) -> None:
        """Brings the full model up to date with what the tail has learned.

        Most weights are shared and need no copy; those of the twins are.
        """
        for twin in self.twins:
            twin.store()


def cut_backbone(config: BackboneConfig, trainable_layers: int | None = None) -> Cut:
    """Builds a backbone and cuts it; see `cut_model`.

    Raises:
        BackboneError: It is an ONNX file, or can't be cut.
        WeightsError: Its weights are not to be had or don't fit.
    """
    if config.is_onnx:
        raise BackboneError(
            f"{config.architecture} is an ONNX file, which can be run but not trained: fine-tune a "
            "backbone of the catalogue instead (--model), or train only the head"
        )
    return cut_model(build_model(config), trainable_layers)


def cut_model(model: Any, trainable_layers: int | None = None) -> Cut:
    """Freezes all but the last layers of a model and cuts it before the first that is trained.

    Args:
        model: A functional ``keras.Model`` with one input and one output. Its layers are frozen
            and unfrozen.
        trainable_layers: How many of the last of ``model.layers`` are trained; 50 if None, of a
            Vision Transformer those of the last 4 encoder blocks and what follows them. Its
            blocks count as a layer each. All are trained if the model has fewer.

    Raises:
        BackboneError: Among those layers none has weights, or the graph can't be cut before them.
    """
    keras = import_keras()
    flat = unroll(model)
    count = _default_layers(flat) if trainable_layers is None else trainable_layers
    _freeze(flat, count)
    nodes = _nodes(flat)
    first = _first_trained(nodes)
    if first is None:
        raise BackboneError(
            f"the last {count} layers of {model.name} have no weights that could be trained: "
            "raise --trainable-layers"
        )
    boundary = _last_boundary(flat, nodes[:first], nodes)
    if boundary is None:
        raise BackboneError(
            f"{model.name} can't be cut before its last {count} layers, since more than one tensor "
            "goes into them: set --trainable-layers to a smaller number"
        )
    place, tensor = boundary
    tail, twins = rewrite(keras.Model(tensor, flat.outputs[0], name=f"{model.name}-tail"))
    return Cut(
        full=model,
        trunk=keras.Model(flat.inputs[0], tensor, name=f"{model.name}-trunk"),
        tail=tail,
        boundary=str(nodes[place].operation.name),
        boundary_shape=tuple(int(side) for side in tensor.shape[1:]),
        place=place,
        trainable_layers=tuple(layer.name for layer in flat.layers if layer.trainable_weights),
        twins=twins,
    )


def save_weights(cut: Cut, path: Path) -> None:
    """Writes the weights of the whole tuned backbone, which `build_model` reads as any others.

    Args:
        cut: Of a backbone of the catalogue.
        path: Ends in ``.weights.h5``; replaced in one step.

    Raises:
        ValueError: The name ends otherwise.
        OSError: The file can't be written.
    """
    if not path.name.endswith(_WEIGHTS_SUFFIX):
        raise ValueError(f"{path} must end in {_WEIGHTS_SUFFIX}")
    cut.store()
    model = vit_backbone(cut.full) or cut.full
    with working_folder(path.parent, ".weights-") as folder:
        file = folder / f"tuned{_WEIGHTS_SUFFIX}"  # Keras goes by the name
        model.save_weights(file)
        file.replace(path)


def tuned_config(config: BackboneConfig, weights: Path) -> BackboneConfig:
    """Returns the backbone that has the weights of a file of `save_weights`.

    It is a backbone like any other, with a fingerprint of its own. int8 becomes f32, since an int8
    graph belongs to the weights that it was calibrated with.

    Args:
        config: The backbone before it was tuned.
        weights: The file.
    """
    return replace(
        config,
        weights=str(weights),
        weights_digest=checksum(weights),
        precision="f32" if config.precision == "int8" else config.precision,
        calibration="",
    )


def _default_layers(flat: Any) -> int:
    blocks = encoder_blocks(flat)
    if not blocks:
        return TRAINABLE_LAYERS
    first: int = flat.layers.index(blocks[-min(TRAINABLE_BLOCKS, len(blocks))])
    return len(flat.layers) - first


def _freeze(flat: Any, count: int) -> None:
    first = max(0, len(flat.layers) - count)
    for place, layer in enumerate(flat.layers):
        layer.trainable = place >= first


def _nodes(model: Any) -> list[Any]:
    """Returns the calls that make up a model, each after those whose outputs it takes.

    `model.layers` would leave out the operations that are no layers, such as ``a + b``.
    """
    by_depth = model._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _first_trained(nodes: list[Any]) -> int | None:
    for place, node in enumerate(nodes):
        if getattr(node.operation, "trainable_weights", None):
            return place
    return None


def _last_boundary(model: Any, before: list[Any], nodes: list[Any]) -> tuple[int, Any] | None:
    """Returns the last of the first nodes after which a single tensor is still needed, and that.

    The model's input doesn't count, since there would be no trunk.
    """
    last_use: dict[int, int] = {}
    for place, node in enumerate(nodes):
        for tensor in node.input_tensors:
            last_use[id(tensor)] = place
    for tensor in model.outputs:
        last_use[id(tensor)] = len(nodes)
    found = None
    alive: dict[int, Any] = {}
    for place, node in enumerate(before):
        alive |= {id(tensor): tensor for tensor in node.outputs}
        alive = {key: tensor for key, tensor in alive.items() if last_use.get(key, 0) > place}
        if len(alive) == 1 and not node.is_input:
            (tensor,) = alive.values()
            if not any(tensor is given for given in model.inputs):
                found = place, tensor
    return found
