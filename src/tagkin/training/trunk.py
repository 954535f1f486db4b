"""The frozen part of a backbone in OpenVINO, where it runs once over the images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, Runtime
from tagkin.backbones.cache import cached_entry
from tagkin.backbones.graphs import smooth_images
from tagkin.backbones.keras_models import import_keras
from tagkin.backbones.sample import Note, silent
from tagkin.backbones.tuning import choose_batch, choose_precision
from tagkin.hardware import has_bf16
from tagkin.training.cut import Cut

_PROBE_IMAGES = 8

# Raised when a change to the export of trunks changes what they compute.
_RECIPE = 1


@dataclass(frozen=True)
class Trunk:
    """A loaded trunk.

    Attributes:
        runtime: Gives the activations of an image in a row, float32 of shape (values,).
        shape: What these are in truth, without the batch.
        key: Names backbone, boundary and arithmetic: equal keys mean equal activations.
        precision: That it runs in.
    """

    runtime: Runtime
    shape: tuple[int, ...]
    key: str
    precision: Literal["f32", "bf16"]


def open_trunk(
    cut: Cut,
    config: BackboneConfig,
    cache_dir: Path,
    *,
    precision: str = "auto",
    images: int = 1,
    sample: NDArray[np.uint8] | None = None,
    note: Note = silent,
) -> Trunk:
    """Loads the trunk of a backbone; exports it first if that was never done.

    bf16 is taken only where it is faster and the activations of a few images stay near those in
    f32: deep networks can amplify rounding.

    Args:
        cut: Of the backbone, with the weights that ``config`` says.
        config: Which backbone.
        cache_dir: The cache folder.
        precision: As in the settings. ``f32`` is obeyed; ``bf16`` where the processor has it; else
            it is measured.
        images: How many views are to be run; for many, the best batch is measured first.
        sample: uint8 RGB of shape (images, size, size, 3) to compare precisions by; artificial
            ones if None.
        note: Told, in a sentence, what was measured.

    Raises:
        BackboneError: The export failed or the cache can't be written.
    """
    key = f"{config.graph_key}-trunk{cut.place}-{_RECIPE}"
    graph = cached_entry(key, cache_dir, lambda folder: _export(cut, folder))
    chosen: Literal["f32", "bf16"] = "f32"
    if precision != "f32" and has_bf16():
        chosen = "bf16"
        if precision != "bf16":
            pixels = smooth_images(config.image_size, _PROBE_IMAGES) if sample is None else sample
            choice = choose_precision(graph, pixels)
            chosen = choice.precision
            note(f"precision of the frozen layers: {choice}")
    runtime = Runtime(graph, chosen, batch=choose_batch(graph, chosen, images))
    return Trunk(runtime, cut.boundary_shape, f"{key}-{chosen}", chosen)


def _export(cut: Cut, folder: Path) -> None:
    from tagkin.backbones.export import export_model  # it takes TensorFlow's converter along

    export_model(_in_a_row(cut), folder)


def _in_a_row(cut: Cut) -> Any:
    """Returns the trunk with flat outputs, which is what a backbone's graph has."""
    keras = import_keras()
    outputs = keras.layers.Flatten()(cut.trunk.outputs[0])
    return keras.Model(cut.trunk.inputs[0], outputs, name=cut.trunk.name)
