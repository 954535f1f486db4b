"""What a backbone runs fastest with on this machine: measured once, then remembered.

What is measured lies beside the exported graph in the cache, under the name of the machine.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.runtime import Arithmetic, Runtime
from tagkin.errors import BackboneError
from tagkin.files import atomic_file
from tagkin.hardware import processor_name, usable_cores

_PRECISIONS: dict[str, Literal["f32", "bf16"]] = {"f32": "f32", "bf16": "bf16"}

# bf16 changes vectors a little, so it has to be worth it.
_LEAST_GAIN = 1.1
# EfficientNet-Lite0 on photographs has 0.9987, with 95 % of the 10 nearest neighbours unchanged.
_LEAST_COSINE = 0.995
# A measurement takes so long at least, unless one pass over the images takes longer.
_SECONDS = 0.5
_ROUNDS = 3

_BATCHES = (4, 8)
_LEAST_BATCH_GAIN = 1.05
# Measuring takes as long as some 200 images, or some seconds.
_WORTH_IMAGES = 2000
_WORTH_SECONDS = 60.0

_FILE = "measured.json"


@dataclass(frozen=True)
class PrecisionChoice:
    """Whether a backbone runs in bf16 on this machine.

    Attributes:
        precision: The choice.
        f32: Images per second in f32, in memory.
        bf16: Images per second in bf16; 0 if it failed.
        cosine: Mean cosine of bf16 vectors to those in f32; 0 if it failed.
    """

    precision: Literal["f32", "bf16"]
    f32: float
    bf16: float
    cosine: float

    @property
    def distorted(self) -> bool:
        """Whether bf16 is faster but too far from f32."""
        return self.bf16 >= _LEAST_GAIN * self.f32 and self.cosine < _LEAST_COSINE

    def __str__(self) -> str:
        if not self.bf16:
            return "f32, since bf16 failed on this processor"
        rates = f"bf16 {self.bf16:.3g} images/s, f32 {self.f32:.3g}"
        return f"{self.precision} ({rates}, mean cosine between them {self.cosine:.4f})"


def choose_precision(graph: Path, images: NDArray[np.uint8]) -> PrecisionChoice:
    """Chooses between f32 and bf16 by running both for a moment, once per graph and machine.

    Args:
        graph: ``model.xml`` of an exported backbone.
        images: uint8 RGB of shape (images, size, size, 3), a few real ones if possible.

    Returns:
        bf16 if it is at least 1.1 times faster than f32 and its vectors have a mean cosine of at
        least 0.995 to those of f32; else f32.
    """
    with suppress(TypeError, KeyError, ValueError):
        return _to_choice(_recall(graph)["precision"])
    choice = _measure_precision(graph, images)
    _remember(graph, "precision", asdict(choice))
    return choice


def _to_choice(remembered: Mapping[str, Any]) -> PrecisionChoice:
    figures = {name: float(remembered[name]) for name in ("f32", "bf16", "cosine")}
    return PrecisionChoice(_PRECISIONS[remembered["precision"]], **figures)


def _measure_precision(graph: Path, images: NDArray[np.uint8]) -> PrecisionChoice:
    single = Runtime(graph, "f32")
    expected = single.embed(images)
    try:
        half = Runtime(graph, "bf16")
        vectors = half.embed(images)
    except (BackboneError, RuntimeError):  # fails outright on some instruction sets
        return PrecisionChoice("f32", _rates([single], images)[0], 0.0, 0.0)
    cosine = _mean_cosine(expected, vectors)
    f32, bf16 = _rates([single, half], images)
    good = bf16 >= _LEAST_GAIN * f32 and cosine >= _LEAST_COSINE
    return PrecisionChoice("bf16" if good else "f32", f32, bf16, cosine)


def choose_batch(graph: Path, precision: Arithmetic, images: int) -> int:
    """Chooses how many images a request holds, by measuring, once per graph and machine.

    With AMX, batches of 8 ran EfficientNetV2-L 1.13 times faster than single images; elsewhere
    they often gain nothing, and take memory.

    Args:
        graph: ``model.xml`` of an exported backbone.
        precision: That it will run in.
        images: How many are to be embedded. If they are fewer than 2,000 or take less than a
            minute anyway, nothing is measured and single images are chosen.
    """
    if images < _WORTH_IMAGES:
        return 1
    name = f"batch-{precision}"
    remembered = _recall(graph).get(name)
    if isinstance(remembered, int) and remembered in (1, *_BATCHES):
        return remembered
    single = Runtime(graph, precision)
    pixels = np.zeros((2 * max(_BATCHES), *single.input_shape), np.uint8)
    started = time.perf_counter()
    single.embed(pixels[:2])
    if (time.perf_counter() - started) / 2 * images < _WORTH_SECONDS:
        return 1
    # Two compiled graphs at once and no more, since each takes its memory.
    best, chosen = single, 1
    for batch in _BATCHES:
        with suppress(BackboneError, RuntimeError):  # a graph may be made for single images
            larger = Runtime(graph, precision, batch=batch)
            before, after = _rates([best, larger], pixels)
            if after >= _LEAST_BATCH_GAIN * before:
                best, chosen = larger, batch
    _remember(graph, name, chosen)
    return chosen


def _rates(runtimes: list[Runtime], images: NDArray[np.uint8]) -> list[float]:
    """Returns each one's best images per second, measured in turns, since machines are noisy."""
    for runtime in runtimes:
        runtime.embed(images[:2])
    best = [0.0] * len(runtimes)
    for _ in range(_ROUNDS):
        for place, runtime in enumerate(runtimes):
            done, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < _SECONDS:
                runtime.embed(images)
                done += len(images)
            best[place] = max(best[place], done / elapsed)
    return best


def _mean_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Returns the mean cosine between rows; 0 if a value is not finite."""
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        mean = float(((a * b).sum(axis=1) / norms).mean())
    return mean if np.isfinite(mean) else 0.0


def _machine() -> str:
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    parts = [processor_name(), f"{usable_cores()} cores", f"openvino {version('openvino')}", limit]
    return ", ".join(part for part in parts if part)


def _recall(graph: Path) -> Mapping[str, Any]:
    return _read(graph).get(_machine(), {})


def _read(graph: Path) -> dict[str, dict[str, Any]]:
    with suppress(OSError, ValueError):
        content = json.loads((graph.parent / _FILE).read_text("utf-8"))
        if isinstance(content, dict) and all(isinstance(v, dict) for v in content.values()):
            return content
    return {}


def _remember(graph: Path, name: str, value: Any) -> None:
    content = _read(graph)
    content.setdefault(_machine(), {})[name] = value
    with suppress(OSError), atomic_file(graph.parent / _FILE) as file:  # it is only a note
        file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
