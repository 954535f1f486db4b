"""From settings to a backbone that is ready to embed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.cache import cached_graph
from tagkin.backbones.config import BackboneConfig, describe_backbone
from tagkin.backbones.int8 import calibrated
from tagkin.backbones.runtime import Arithmetic, Embedder, Runtime
from tagkin.backbones.sample import ImageSample, Note, silent
from tagkin.backbones.tuning import choose_batch, choose_precision
from tagkin.errors import BackboneError
from tagkin.hardware import has_bf16
from tagkin.settings import Settings

_PROBE_IMAGES = 16


def resolve_backbone(
    settings: Settings, sample: ImageSample | None = None, note: Note = silent
) -> BackboneConfig:
    """Returns the backbone that the settings name, with ``precision = auto`` made a choice.

    If the processor has bf16, the choice takes a run of some seconds in both precisions, which
    needs the exported graph; both are done once per backbone and machine.

    Args:
        settings: Architecture, weights, image size, fit or views, precision and device.
        sample: Images of the library. int8 needs them; bf16 is judged by them, or by artificial
            images if there are none.
        note: Told, in a sentence, what was measured and decided.

    Raises:
        BackboneError: The architecture is unknown, the precision can't be had on this machine, or
            int8 changes too many of the nearest neighbours.
        WeightsError: The weights are not to be had.
    """
    config = describe_backbone(settings)
    if settings.device == "gpu":
        return replace(config, precision=_on_gpu(settings))
    if settings.precision == "int8":
        return calibrated(config, settings, sample, note)
    if settings.precision == "auto":
        return replace(config, precision=_chosen(config, settings, sample, note))
    if settings.precision == "bf16" and not has_bf16():
        raise BackboneError(
            "this processor has no bf16 instructions, and emulated bf16 is several times slower "
            "than f32: use --precision f32"
        )
    if settings.precision == "f16":
        raise BackboneError("f16 is for --device gpu: use --precision f32, bf16 or int8 here")
    return replace(config, precision=settings.precision)


def open_backbone(
    config: BackboneConfig, cache_dir: Path, *, device: str = "cpu", images: int = 1
) -> Embedder:
    """Loads a backbone ready to embed; exports it first if that was never done.

    Args:
        config: Which backbone.
        cache_dir: The cache folder.
        device: ``cpu`` or ``gpu``.
        images: How many are to be embedded; for many, the best batch is measured first.

    Raises:
        WeightsError: The weights are not to be had or don't fit.
        BackboneError: The export failed, the cache can't be written, or there is no GPU.
    """
    if device == "gpu":
        return _open_on_gpu(config, cache_dir)
    graph = cached_graph(config, cache_dir)
    return Runtime(graph, config.precision, batch=choose_batch(graph, config.precision, images))


def _chosen(
    config: BackboneConfig, settings: Settings, sample: ImageSample | None, note: Note
) -> Arithmetic:
    if not has_bf16():
        return "f32"
    graph = cached_graph(config, settings.cache_dir)
    pixels = _some_images(config, sample)
    choice = choose_precision(graph, pixels)
    if choice.distorted:
        note(
            "warning: bf16 would be faster, but changes the vectors too much (mean cosine "
            f"{choice.cosine:.4f} to f32), so {config.architecture} runs in f32"
        )
    else:
        note(f"precision: {choice}")
    return choice.precision


def _some_images(config: BackboneConfig, sample: ImageSample | None) -> NDArray[np.uint8]:
    if sample is not None:
        pixels = sample.pixels(sample.ids(_PROBE_IMAGES), config)
        if len(pixels) >= _PROBE_IMAGES // 2:
            return pixels
    from tagkin.backbones.graphs import smooth_images

    return smooth_images(config.image_size, _PROBE_IMAGES)


def _on_gpu(settings: Settings) -> Arithmetic:
    if settings.precision == "int8":
        raise BackboneError("int8 runs on the processor only: leave --device gpu out")
    return "f16" if settings.precision == "auto" else settings.precision


def _open_on_gpu(config: BackboneConfig, cache_dir: Path) -> Embedder:
    from tagkin.backbones.gpu import KerasRuntime, find_gpu

    gpu = find_gpu()
    if gpu.kind == "intel":
        return Runtime(cached_graph(config, cache_dir), config.precision, device="GPU")
    if config.is_onnx:
        raise BackboneError(
            "an ONNX file runs on the processor or on an Intel GPU, not on CUDA: leave --device "
            "gpu out"
        )
    from tagkin.backbones.keras_models import build_model

    return KerasRuntime(lambda: build_model(config), precision=config.precision)
