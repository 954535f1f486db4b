"""int8 by post-training quantization: an exported graph in, one that is several times faster out.

The method and its settings are those of Intel's Neural Network Compression Framework (NNCF,
Apache-2.0, https://github.com/openvinotoolkit/nncf): the ranges of activations come from
calibration images, and biases are corrected for the error that rounding leaves in the mean
(Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721). Which layers bear it badly is measured by the noise that each adds to its own
output.
"""

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.runtime import NEEDS_VNNI, Runtime, import_openvino
from tagkin.backbones.sample import Note, silent
from tagkin.errors import BackboneError
from tagkin.hardware import has_vnni

_NEIGHBOURS = 10
# Each share costs as much time as the first graph, so there are few.
_SHARES_LEFT_OUT = (0.05, 0.10, 0.20)
_RANKING_IMAGES = 8
_RECURSION_LIMIT = 20_000
_SUFFIXES = (".xml", ".bin")

# Attention and GELU: what NNCF quantizes better when told that it is a transformer.
_TRANSFORMER_OPS = frozenset({"Softmax", "ScaledDotProductAttention", "Gelu", "Erf"})
# These only move values, so that a quantizer before them quantizes what comes after them.
_MOVING_OPS = frozenset(
    {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "MaxPool", "Split", "VariadicSplit"}
)


@dataclass(frozen=True)
class Quantized:
    """How near an int8 graph is to the one it was made from.

    Attributes:
        mean_cosine: Of the int8 vectors to those in f32, over the check images.
        neighbour_overlap: Mean share of each check image's 10 nearest neighbours by cosine among
            the others that stay the same; fewer than 10 if there are fewer images.
        left_out: Names of the layers kept in floating point because they are sensitive.
        calibration_images: Images that the ranges come from.
    """

    mean_cosine: float
    neighbour_overlap: float
    left_out: tuple[str, ...]
    calibration_images: int


def quantize_graph(
    graph: Path,
    folder: Path,
    calibration: NDArray[np.uint8],
    check: NDArray[np.uint8],
    *,
    min_overlap: float = 0.85,
    note: Note = silent,
) -> Quantized:
    """Writes the int8 form of a graph, ``model.xml`` and ``model.bin``, into a folder.

    If too few nearest neighbours stay the same, it is made again with the 5, 10 and 20 % most
    sensitive layers in floating point, and the best is kept; whether that is good enough is for
    the caller to say.

    Args:
        graph: ``model.xml`` of an exported backbone.
        folder: An existing folder other than the graph's.
        calibration: uint8 RGB of shape (images, size, size, 3), some hundred images of the kind
            that will be embedded. 300 make a better graph than 100.
        check: uint8 RGB of shape (images, size, size, 3), other images than those, two at least.
        min_overlap: Overlap of neighbours, 0 to 1, from which no more is tried.
        note: Told when layers are left out.

    Raises:
        BackboneError: NNCF is not installed, there are too few images or they have another shape
            than the graph takes, or the graph can't be read or quantized.
    """
    nncf = _import_nncf()
    expected = _embed_exactly(graph, calibration, check)

    def attempt(made: Path, left_out: Sequence[str]) -> Quantized:
        _quantize(nncf, graph, made, calibration, left_out)
        vectors = Runtime(made, "int8").embed(check)
        cosine = float((_units(vectors) * _units(expected)).sum(axis=1).mean())
        overlap = _neighbour_overlap(vectors, expected)
        return Quantized(cosine, overlap, tuple(left_out), len(calibration))

    kept, trial = folder / "model.xml", folder / "trial.xml"
    best = attempt(kept, ())
    ranked: list[str] = []
    for share in _SHARES_LEFT_OUT:
        if best.neighbour_overlap >= min_overlap:
            break
        ranked = ranked or _most_sensitive(graph, kept, calibration[:_RANKING_IMAGES])
        if not ranked:
            break
        count = round(share * len(ranked)) or 1
        note(
            f"int8 keeps {best.neighbour_overlap:.1%} of the nearest neighbours, which is below "
            f"{min_overlap:.0%}: leaving the {count} most sensitive of {len(ranked)} layers out"
        )
        report = attempt(trial, ranked[:count])
        if report.neighbour_overlap > best.neighbour_overlap:
            best = report
            for suffix in _SUFFIXES:
                trial.with_suffix(suffix).replace(kept.with_suffix(suffix))
    for suffix in _SUFFIXES:
        trial.with_suffix(suffix).unlink(missing_ok=True)
    return best


def _embed_exactly(
    graph: Path, calibration: NDArray[np.uint8], check: NDArray[np.uint8]
) -> NDArray[np.float32]:
    runtime = Runtime(graph, "f32")
    for images, least in ((calibration, 1), (check, 2)):
        if len(images) < least or images.shape[1:] != runtime.input_shape:
            raise BackboneError(
                f"int8 needs at least 1 image to calibrate and 2 to check with, of shape "
                f"{runtime.input_shape}, and was given {images.shape}"
            )
    return runtime.embed(check)


def _import_nncf() -> Any:
    """Imports NNCF with its telemetry off, and without the line it prints and its logger class."""
    import_openvino()
    os.environ.setdefault("NNCF_CI", "1")  # for who imported openvino_telemetry before Tagkin
    disabled, logger_class = logging.root.manager.disable, logging.getLoggerClass()
    logging.disable(logging.CRITICAL)
    try:
        return importlib.import_module("nncf")
    except ImportError as error:
        raise BackboneError(
            "int8 needs NNCF, which is not installed: pip install 'tagkin[int8]'"
        ) from error
    finally:
        logging.disable(disabled)
        logging.setLoggerClass(logger_class)


def _quantize(
    nncf: Any, graph: Path, made: Path, calibration: NDArray[np.uint8], left_out: Sequence[str]
) -> None:
    ov = import_openvino()
    # Measured on EfficientNet-Lite0: of 10 neighbours, symmetric ranges (this preset) keep 92 %,
    # asymmetric ones 90 %, and those with NNCF's fast bias correction 86 %.
    options: dict[str, Any] = {"preset": nncf.QuantizationPreset.PERFORMANCE}
    # Without VNNI, sums of products saturate unless weights use half of the range: 70 % of the
    # neighbours instead of 92 %. With VNNI the whole range keeps 95 %.
    overflow_fix = nncf.OverflowFix.DISABLE if has_vnni() else nncf.OverflowFix.ENABLE
    try:
        model = ov.Core().read_model(graph)
        if any(node.get_type_name() in _TRANSFORMER_OPS for node in model.get_ops()):
            options = {"model_type": nncf.ModelType.TRANSFORMER}
        with _tamed():
            quantized = nncf.quantize(
                model,
                nncf.Dataset(calibration, lambda image: image[None]),
                subset_size=len(calibration),
                fast_bias_correction=False,
                ignored_scope=nncf.IgnoredScope(names=list(left_out), validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix),
                **options,
            )
        if has_vnni():
            quantized.set_rt_info(True, NEEDS_VNNI)
        ov.save_model(quantized, made, compress_to_fp16=False)
    except (RuntimeError, nncf.ValidationError, nncf.UnsupportedModelError) as error:
        raise BackboneError(f"NNCF can't quantize {graph}: {error}") from error


@contextlib.contextmanager
def _tamed() -> Iterator[None]:
    """Keeps NNCF's log and progress bars off the terminal, and lets it walk through deep graphs.

    It writes both to stdout, and follows a graph layer by layer in recursion, for which Python's
    usual limit is too low with EfficientNetV2-L.
    """
    bars: Any = importlib.import_module("nncf.common.logging.track_progress")
    logger, shown = logging.getLogger("nncf"), bars.Progress
    level = logger.level
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(max(depth, _RECURSION_LIMIT))
    logger.setLevel(logging.CRITICAL + 1)
    bars.Progress = lambda *columns, **options: shown(*columns, **{**options, "disable": True})
    try:
        yield
    finally:
        bars.Progress = shown
        logger.setLevel(level)
        sys.setrecursionlimit(depth)


def _most_sensitive(graph: Path, quantized: Path, images: NDArray[np.uint8]) -> list[str]:
    """Returns the names of the quantized layers, the one that adds most noise first.

    Both graphs become one, in which every quantizer of the int8 half reads from the f32 half. So
    each layer is seen alone: what it makes of exact values with rounded inputs and weights. The
    noise is the mean square of the error over that of the exact output, computed in the graph:
    no activations are held.
    """
    ov = import_openvino()
    ops, core = ov.opset13, ov.Core()
    exact, rough = core.read_model(graph), core.read_model(quantized)
    exact_nodes = {node.get_friendly_name(): node for node in exact.get_ops()}
    layers: dict[str, Any] = {}
    for quantizer in rough.get_ops():
        if quantizer.get_type_name() != "FakeQuantize":
            continue
        source = quantizer.input_value(0)
        twin = exact_nodes.get(source.get_node().get_friendly_name())
        if twin is None or twin.get_type_name() == "Constant":
            continue
        quantizer.input(0).replace_source_output(twin.output(source.get_index()))
        layers |= {r.get_friendly_name(): r for r in _readers(quantizer)}
    rough.input(0).replace(exact.input(0))

    def mean_square(values: Any) -> Any:
        flat = ops.reshape(ops.multiply(values, values), [-1], special_zero=False)
        return ops.reduce_mean(flat, [0], keep_dims=True)

    noises = []
    layers = {name: layer for name, layer in layers.items() if name in exact_nodes}
    if not layers:
        return []
    for name, layer in layers.items():
        exact_values = exact_nodes[name].output(0)
        error = mean_square(ops.subtract(exact_values, layer.output(0)))
        power = ops.add(mean_square(exact_values), np.float32(1e-30))
        noises.append(ops.divide(error, power))
    both = ov.Model([ops.concat(noises, 0)], exact.get_parameters(), "noise")
    compiled = core.compile_model(both, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    total = np.sum([compiled([image[None]])[0] for image in images], axis=0)
    ranked = sorted(zip(layers, total.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    return [name for name, _ in ranked]


def _readers(node: Any) -> Iterator[Any]:
    """Yields the nodes that compute with a node's output, past those that only move it."""
    for target in node.output(0).get_target_inputs():
        reader = target.get_node()
        if reader.get_type_name() in _MOVING_OPS:
            yield from _readers(reader)
        elif reader.get_type_name() != "Result":
            yield reader


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.nan_to_num(vectors / np.maximum(norms, np.float32(1e-30)))
    return units


def _neighbour_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    count = min(_NEIGHBOURS, len(a) - 1)

    def nearest(vectors: NDArray[np.float32]) -> list[list[int]]:
        units = _units(vectors)
        scores = units @ units.T
        np.fill_diagonal(scores, -2.0)
        found: list[list[int]] = np.argsort(-scores, axis=1, kind="stable")[:, :count].tolist()
        return found

    pairs = zip(nearest(a), nearest(b), strict=True)
    return float(np.mean([len({*x} & {*y}) / count for x, y in pairs]))
