"""A small network that needs no export, whose speed tells how fast a processor is.

Its layers are those that backbones spend their time in: a 3x3 convolution and 1x1 convolutions
with a depthwise one between them.
"""

import time
from typing import Any

import numpy as np

from tagkin.backbones.runtime import Arithmetic, import_openvino, properties
from tagkin.hardware import has_bf16

_SIZE, _CHANNELS, _BLOCKS = 48, 96, 6
_SECONDS = 0.7
_ROUNDS = 3


def anchor_rates() -> tuple[dict[str, float], int]:
    """Returns runs per second by precision (f32, and bf16 where the processor has it).

    The second value is how many requests OpenVINO has under way at once here.
    """
    ov = import_openvino()
    graph = _graph(ov)
    names: list[Arithmetic] = ["f32", "bf16"] if has_bf16() else ["f32"]
    compiled = {name: ov.Core().compile_model(graph, "CPU", properties(name)) for name in names}
    best: dict[str, float] = dict.fromkeys(names, 0.0)
    for _ in range(_ROUNDS):  # in turns, since machines are noisy
        for name, model in compiled.items():
            best[name] = max(best[name], _run(model))
    return best, int(compiled["f32"].get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))


def _run(model: Any) -> float:
    count = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    requests = [model.create_infer_request() for _ in range(count)]
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < _SECONDS:
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()
        done += count
    return done / elapsed


def _graph(ov: Any) -> Any:
    ops = ov.opset13
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return ops.constant(rng.normal(0, 0.05, shape).astype(np.float32))

    def convolve(x: Any, kernel: Any, pad: int) -> Any:
        return ops.relu(ops.convolution(x, kernel, [1, 1], [pad, pad], [pad, pad], [1, 1]))

    image = ops.parameter([1, _CHANNELS, _SIZE, _SIZE], np.float32)
    x = image
    for _ in range(_BLOCKS):
        x = convolve(x, weights(_CHANNELS, _CHANNELS, 3, 3), 1)
        wide = convolve(x, weights(4 * _CHANNELS, _CHANNELS, 1, 1), 0)
        kernel = weights(4 * _CHANNELS, 1, 1, 3, 3)
        wide = ops.relu(ops.group_convolution(wide, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
        x = ops.add(x, convolve(wide, weights(_CHANNELS, 4 * _CHANNELS, 1, 1), 0))
    return ov.Model([ops.reduce_mean(x, ops.constant(np.array([2, 3])), False)], [image])
