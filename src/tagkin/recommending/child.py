"""One measurement in a process of its own, whose peak memory is then its own.

``python -m tagkin.recommending.child`` reads a request as JSON from stdin and answers in JSON on
the last line of stdout. Speed and memory don't depend on what the weights are.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

# What a command has in memory beside the work itself.
import rich.progress  # noqa: F401
import typer  # noqa: F401

from tagkin.backbones.config import BackboneConfig, describe_backbone
from tagkin.backbones.graphs import smooth_images
from tagkin.backbones.runtime import Arithmetic, Runtime, import_openvino
from tagkin.embeddings import embed
from tagkin.library import Library
from tagkin.preparing import content_id
from tagkin.recommending.pictures import copies, made_up
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings, default_settings, load_settings

_MOST_IMAGES = 2000
_LARGEST_BATCH = 8  # that is tried before a long run, beside a graph for single images
_DECODED = 48  # of one thread, to time what precedes the network


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.read())
    with contextlib.redirect_stdout(sys.stderr):
        answer = PARTS[request["part"]](request)
    print(json.dumps({**answer, **memory()}))


def memory() -> dict[str, int]:
    """Returns the peaks of this process in bytes: resident, and of addresses."""
    names = {"VmHWM": "resident", "VmPeak": "addresses"}
    found = {}
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name in names:
            found[names[name]] = int(value.split()[0]) * 1024
    return found


def _embed(request: Mapping[str, Any]) -> dict[str, Any]:
    """Embeds files into a library for some seconds."""
    settings, config = _config(request)
    with tempfile.TemporaryDirectory(prefix="tagkin-measure-") as name:
        folder = Path(name)
        graph = _at_size(Path(request["graph"]), config.image_size, folder)
        started = time.perf_counter()
        runtime = Runtime(graph, config.precision, batch=request["batch"])
        load = time.perf_counter() - started
        at_once = runtime.requests * request["batch"]
        pixels = smooth_images(config.image_size, at_once)
        runtime.embed(pixels)
        rate = _rate(lambda: runtime.embed(pixels), at_once, request["seconds"] / 4)
        files = [Path(file) for file in request["files"]] or made_up(folder)
        decode = _decode_seconds(files, config, settings)
        wanted = rate * request["seconds"]
        count = int(min(_MOST_IMAGES, max(at_once, -(-wanted // at_once) * at_once)))
        library = _library(folder, files, count)
        started = time.perf_counter()
        report = embed(library, config, settings, backbone=runtime)
        elapsed = time.perf_counter() - started
    return {
        "images_per_second": report.added / elapsed,
        "in_memory": rate,
        "decode_seconds": decode,
        "images": report.added,
        "requests": runtime.requests,
        "load_seconds": load,
        "precision": config.precision,
    }


def _first(request: Mapping[str, Any]) -> dict[str, Any]:
    """Loads what the first long run has in memory at once, while it chooses how to run.

    See `tagkin.backbones.tuning`: a graph in both precisions, then one for single images beside
    one for batches.
    """
    _, config = _config(request)
    pixels = smooth_images(config.image_size, 2)
    with tempfile.TemporaryDirectory(prefix="tagkin-measure-") as name:
        graph = _at_size(Path(request["graph"]), config.image_size, Path(name))
        if config.precision == "bf16":
            both = [Runtime(graph, "f32"), Runtime(graph, "bf16")]
            for runtime in both:
                runtime.embed(pixels)
            del both, runtime
        both = [
            Runtime(graph, config.precision),
            Runtime(graph, config.precision, batch=_LARGEST_BATCH),
        ]
        for runtime in both:
            runtime.embed(pixels)
    return {}


def _tail(request: Mapping[str, Any]) -> dict[str, Any]:
    """Phase 2: the pass of the frozen layers, then steps of the optimizer."""
    from tagkin.head import Head
    from tagkin.training.cut import cut_backbone
    from tagkin.training.learner import Learner, Vectors, moments_of
    from tagkin.training.recipe import Recipe
    from tagkin.training.trunk import open_trunk

    settings, config = _config(request)
    cut = cut_backbone(config)
    trunk = open_trunk(
        cut, config, Path(request["cache_dir"]), precision=config.precision, images=1
    )
    batch, steps = int(request["batch"]), int(request["steps"])
    pixels = smooth_images(config.image_size, max(batch, trunk.runtime.requests))
    trunk.runtime.embed(pixels[:2])
    trunk_rate = _rate(lambda: trunk.runtime.embed(pixels), len(pixels), 1.0)
    rng = np.random.default_rng(0)
    stored = rng.normal(0, 1, (batch, *cut.boundary_shape)).astype(np.float32)
    tags = int(request["tags"])
    vectors = Vectors(cut, batch)
    kernel = rng.normal(0, 0.01, (config.dimension, tags)).astype(np.float32)
    head = Head(kernel, np.zeros(tags, np.float32))
    learner = Learner(
        vectors, head, moments_of(vectors(stored)), settings, Recipe.from_settings(settings)
    )
    labels = (rng.random((batch, tags)) < 4 / tags).astype(np.float32)
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        learner.step(stored, labels)
        seconds.append(time.perf_counter() - started)
    return {
        "trunk_per_second": trunk_rate,
        "tail_per_second": batch / float(np.median(seconds[1:])),
        "activation_bytes": int(np.prod(cut.boundary_shape)) * 2,
        "precision": trunk.precision,
    }


def _export(request: Mapping[str, Any]) -> dict[str, Any]:
    """Exports a backbone with random weights into a folder that is thrown away, or the cache."""
    from tagkin.backbones.cache import cached_graph

    _, config = _config(request)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tagkin-measure-") as name:
        cached_graph(config, Path(request.get("cache_dir") or name))
    return {"seconds": time.perf_counter() - started}


def _anchor(_: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a small network that every machine can build in a moment."""
    from tagkin.recommending.anchor import anchor_rates

    rates, requests = anchor_rates()
    return {"rates": rates, "requests": requests}


PARTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "embed": _embed,
    "first": _first,
    "tail": _tail,
    "export": _export,
    "anchor": _anchor,
}


def _config(request: Mapping[str, Any]) -> tuple[Settings, BackboneConfig]:
    """Returns the defaults, whatever a ``tagkin.toml`` says, with the backbone of the request."""
    settings = default_settings(keep=load_settings()).model_copy(
        update={
            "model_architecture": request["architecture"],
            "weights": request.get("weights", "random"),
            "image_size": request["image_size"],
        }
    )
    precision: Arithmetic = request["precision"]
    return settings, replace(describe_backbone(settings), precision=precision)


def _at_size(graph: Path, size: int, folder: Path) -> Path:
    """Returns a graph for another image size, which convolutions take without a new export."""
    ov = import_openvino()
    model = ov.Core().read_model(graph)
    if tuple(model.input(0).shape)[1] == size:
        return graph
    model.reshape([1, size, size, 3])
    changed = folder / "model.xml"
    ov.save_model(model, changed, compress_to_fp16=True)
    return changed


def _rate(work: Callable[[], object], images: int, seconds: float) -> float:
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not done:
        work()
        done += images
    return done / elapsed


def _decode_seconds(files: Sequence[Path], config: BackboneConfig, settings: Settings) -> float:
    """Returns the seconds of one core that reading and decoding an image takes."""
    from tagkin.embeddings import decode_views
    from tagkin.images import ImageLimits, read_bytes

    limits = ImageLimits.from_settings(settings)
    some = [files[number % len(files)] for number in range(_DECODED)]
    started = time.thread_time()
    for file in some:
        data = read_bytes(file, limits)
        content_id(data)
        decode_views(data, config, limits)
    return (time.thread_time() - started) / len(some)


def _library(folder: Path, files: Sequence[Path], count: int) -> Library:
    (folder / "images").mkdir()
    library = Library.create_or_open(folder / "library")
    rows = []
    for path, data in copies(files, count, folder / "images"):
        file = ImageFile(path, (), len(data), path.stat().st_mtime_ns)
        rows.append(ImageRow(content_id(data), (file,), 1, 1, "jpeg", 1, 0))
    library.upsert_images(rows)
    return library


if __name__ == "__main__":
    main()
