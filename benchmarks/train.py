"""Training as Tagkin does it beside the published recipe in plain Keras, in one run.

Phase 1 trains a head. Published: the frozen model runs on every image in every epoch. Tagkin: it
runs once, in OpenVINO, and 30 epochs of the head run on the vectors.

Phase 2 trains the last layers as well. Published: every step runs the whole model, forward through
the frozen layers and both ways through the others, in float32 or in mixed bfloat16. Tagkin: the
frozen layers run once, in OpenVINO, into a file on disk, and every epoch trains the tail alone.

Times are of steps on images that are decoded already, since both sides decode the same way, without
validation, and without what is done once per backbone (export, compilation). The time of a
collection is the time an image times their number. Each measurement is a process of its own, so
that its peak memory is its own. Weights are random except for efficientnet-lite0: speed doesn't
depend on them.

    python benchmarks/train.py FOLDER --models efficientnetv2-s --write docs/benchmarks.md
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pages import machine, show
from scipy.sparse import random_array

from tagkin.backbones import (
    BACKBONES,
    OFFLINE_BACKBONE,
    BackboneConfig,
    open_backbone,
    resolve_backbone,
)
from tagkin.backbones.config import describe_backbone
from tagkin.backbones.graphs import smooth_images
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.head import Head
from tagkin.images import IMAGE_EXTENSIONS, ImageLimits
from tagkin.settings import Settings, load_settings
from tagkin.training.activations import cache_activations
from tagkin.training.augment import TrainingViews
from tagkin.training.cut import cut_backbone, cut_model
from tagkin.training.fit import fit_head
from tagkin.training.learner import Learner, Vectors, moments_of
from tagkin.training.recipe import Recipe
from tagkin.training.trunk import open_trunk

EPOCHS_1, EPOCHS_2 = 30, 5
WARM_UP = 2  # steps, of which the first compiles


def main() -> None:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", help="folder of images; else made up")
    parser.add_argument("--models", nargs="+", default=[OFFLINE_BACKBONE, "efficientnetv2-s"])
    parser.add_argument("--collection", type=int, default=4500, help="training images")
    parser.add_argument("--tags", type=int, default=374)
    parser.add_argument("--images", type=int, default=64, help="that a pass is timed on")
    parser.add_argument("--steps", type=int, default=7, help="of the optimizer, timed")
    parser.add_argument("--repeats", type=int, default=1, help="of every measurement, in turns")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--image-size", type=int, help="the backbone's own if not given")
    parser.add_argument("--phase", type=int, choices=(1, 2), help="only this one")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="Markdown file whose tables are replaced")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(BACKBONES):
        parser.error(f"no such backbone: {', '.join(unknown)}; choose from {', '.join(BACKBONES)}")
    if arguments.part:
        with contextlib.redirect_stdout(sys.stderr):
            answer = PARTS[arguments.part](arguments)
        answer["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(answer))
        return
    for phase, table in ((1, _phase_1), (2, _phase_2)):
        if arguments.phase in (None, phase):
            show(f"train-phase-{phase}", table(arguments), arguments.write)


def _heading(arguments: argparse.Namespace) -> str:
    return (
        f"{machine()}; batches of {arguments.batch_size}; medians of "
        f"{arguments.steps} steps; images per second; totals are for {arguments.collection:,} "
        f"training images and {arguments.tags} tags."
    )


# The tables -----------------------------------------------------------------------------------


def _phase_1(arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"{_heading(arguments)} {EPOCHS_1} epochs.",
        "",
        "| backbone | pixels | frozen Keras model | its epochs | embedding once | and the head's "
        "epochs | times faster |",
        "|---" * 7 + "|",
    ]
    for model in arguments.models:
        got = _in_turns(model, ("frozen", "embed", "head"), arguments)
        images, head = arguments.collection, got["head"]["seconds"]
        published = EPOCHS_1 * images * got["frozen"]["seconds"]
        once = images * got["embed"]["seconds"]
        lines.append(
            f"| {model} | {got['embed']['pixels']} | {1 / got['frozen']['seconds']:.1f} "
            f"| {_time(published)} | {1 / got['embed']['seconds']:.1f} "
            f"({got['embed']['precision']}), {_time(once)} | {_time(head)} "
            f"| {published / (once + head):.0f} |"
        )
        print(lines[-1], flush=True)
    return lines


def _phase_2(arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"{_heading(arguments)} {EPOCHS_2} epochs with the pass of the frozen layers. Faster: than "
        "plain Keras in f32 / mixed bf16. Memory: peak of f32 / mixed bf16 / Tagkin.",
        "",
        "| backbone | pixels | Keras f32 | Keras mixed bf16 | frozen layers once | tail | an epoch "
        f"| an epoch faster | {EPOCHS_2} epochs | {EPOCHS_2} epochs faster | memory, GB |",
        "|---" * 11 + "|",
    ]
    for model in arguments.models:
        # The trunk first, since it makes the activations that the tail reads.
        got = _in_turns(model, ("trunk", "tail", "plain-f32", "plain-bf16"), arguments)
        images = arguments.collection
        trunk, tail = (images * got[part]["seconds"] for part in ("trunk", "tail"))
        plain = [
            images * got[part]["seconds"] if "seconds" in got[part] else None
            for part in ("plain-f32", "plain-bf16")
        ]
        rates = [f"{images / seconds:.2f}" if seconds else "-" for seconds in plain]
        memory = [got[part]["gigabytes"] for part in ("plain-f32", "plain-bf16", "tail")]
        whole = trunk + EPOCHS_2 * tail
        lines.append(
            f"| {model} | {got['trunk']['pixels']} | {rates[0]} | {rates[1]} "
            f"| {images / trunk:.2f} ({got['trunk']['precision']}, "
            f"{got['trunk']['kilobytes']:.0f} kB an image) | {images / tail:.2f} | {_time(tail)} "
            f"| {_times(plain, tail)} | {_time(whole)} "
            f"| {_times([p and EPOCHS_2 * p for p in plain], whole)} "
            f"| {' / '.join(f'{peak:.1f}' for peak in memory)} |"
        )
        print(lines[-1], flush=True)
    return lines


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60, 1)
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _times(plain: list[float | None], ours: float) -> str:
    return " / ".join(f"{seconds / ours:.1f}" if seconds else "-" for seconds in plain)


def _in_turns(
    model: str, parts: tuple[str, ...], arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Returns the median of each part's measurements, each in a process of its own."""
    answers: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.repeats):
            for part in parts:
                answers[part].append(_in_child(model, part, Path(folder), arguments))
                print(f"{model}, {part}: {answers[part][-1]}", file=sys.stderr, flush=True)
    return {
        part: {
            **got[0],
            "gigabytes": max(one["gigabytes"] for one in got),
            **(
                {"seconds": statistics.median(one["seconds"] for one in got)}
                if "seconds" in got[0]
                else {}
            ),
        }
        for part, got in answers.items()
    }


def _in_child(model: str, part: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("collection", "tags", "images", "steps", "batch_size", "image_size")
    given = {name: getattr(arguments, name) for name in names}
    options = [
        text
        for name, value in given.items()
        if value is not None
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    source = [str(arguments.source)] if arguments.source else []
    done = subprocess.run(
        [
            *(sys.executable, __file__, *source, "--models", model, "--part", part),
            *("--folder", str(folder), *options),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# The measurements, each in a process of its own; seconds are those an image ----------------------


def _frozen(arguments: argparse.Namespace) -> dict[str, Any]:
    """Phase 1 as published: a step of the head runs the whole model forward."""
    config, _ = _backbone(arguments)
    base = build_model(config)
    base.trainable = False
    return {"seconds": _time_plain(base, config, arguments)}


def _embed(arguments: argparse.Namespace) -> dict[str, Any]:
    config, settings = _backbone(arguments)
    config = resolve_backbone(settings)
    pixels = _pixels(config, arguments)
    backbone = open_backbone(config, settings.cache_dir, images=arguments.collection)

    def embed() -> None:
        for _ in backbone.embed_stream(enumerate(pixels)):
            pass

    embed()
    seconds = statistics.median(_timed(embed) for _ in range(3)) / len(pixels)
    return {"seconds": seconds, "pixels": config.image_size, "precision": config.precision}


def _head(arguments: argparse.Namespace) -> dict[str, Any]:
    """All epochs of the head, on vectors that are there."""
    config, settings = _backbone(arguments)
    settings = settings.model_copy(update={"max_epochs": EPOCHS_1, "patience": EPOCHS_1})
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(arguments.collection, config.dimension)).astype(np.float16)
    labels = _labels(arguments.collection, arguments)
    few = slice(0, max(1, arguments.collection // 6))
    seconds = _timed(lambda: fit_head(vectors, labels, vectors[few], labels[few], settings))
    return {"seconds": seconds}


def _plain_f32(arguments: argparse.Namespace) -> dict[str, Any]:
    """Phase 2 as published: the last layers of the whole model are trained."""
    config, _ = _backbone(arguments)
    base = build_model(config)
    cut_model(base)  # which freezes the others
    return {"seconds": _time_plain(base, config, arguments)}


def _plain_bf16(arguments: argparse.Namespace) -> dict[str, Any]:
    if BACKBONES[arguments.models[0]].builder == "vit":
        return {}  # it is built in float32 whatever the policy
    import_keras().config.set_dtype_policy("mixed_bfloat16")
    return _plain_f32(arguments)


def _trunk(arguments: argparse.Namespace) -> dict[str, Any]:
    """The frozen layers in OpenVINO, into the file."""
    config, settings = _backbone(arguments)
    cut = cut_backbone(config)
    pixels = _pixels(config, arguments)
    trunk = open_trunk(
        *(cut, config, settings.cache_dir), sample=pixels[:8], images=arguments.collection
    )
    trunk.runtime.embed(pixels[:4])
    ids = [str(number) for number in range(len(pixels))]

    def run() -> None:
        found = cache_activations(trunk, ids, _reader(pixels), arguments.folder)
        nonlocal kilobytes
        kilobytes = found.read(np.arange(1)).nbytes / 1000
        found.delete()

    kilobytes = 0.0
    seconds = statistics.median(_timed(run) for _ in range(3)) / len(pixels)
    cache_activations(trunk, ids, _reader(pixels), arguments.folder)  # for the tail
    return {
        "seconds": seconds,
        "pixels": config.image_size,
        "precision": trunk.precision,
        "kilobytes": kilobytes,
    }


def _tail(arguments: argparse.Namespace) -> dict[str, Any]:
    """A step on activations from the file."""
    config, settings = _backbone(arguments)
    cut = cut_backbone(config)
    pixels = _pixels(config, arguments)
    trunk = open_trunk(
        *(cut, config, settings.cache_dir), sample=pixels[:8], images=arguments.collection
    )
    ids = [str(number) for number in range(len(pixels))]
    activations = cache_activations(trunk, ids, _reader(pixels), arguments.folder)
    del trunk, pixels
    size = arguments.batch_size
    vectors = Vectors(cut, size)
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.01, (config.dimension, arguments.tags)).astype(np.float32)
    head = Head(kernel, np.zeros(arguments.tags, np.float32))
    moments = moments_of(vectors(activations.read(np.arange(size))))
    learner = Learner(vectors, head, moments, settings, Recipe.from_settings(settings))
    labels = _labels(len(activations), arguments)

    def step() -> None:
        some = rng.permutation(len(activations))[:size]
        learner.step(activations.read(some), labels[some].toarray().astype(np.float32))

    return {"seconds": _median_step(step, arguments) / size}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "frozen": _frozen,
    "embed": _embed,
    "head": _head,
    "plain-f32": _plain_f32,
    "plain-bf16": _plain_bf16,
    "trunk": _trunk,
    "tail": _tail,
}


def _time_plain(base: Any, config: BackboneConfig, arguments: argparse.Namespace) -> float:
    """Returns the seconds an image of a step in plain Keras, whatever is trainable."""
    keras = import_keras()
    settings = load_settings({})
    size = arguments.batch_size
    inputs = keras.Input(batch_shape=(size, config.image_size, config.image_size, 3))
    x = keras.layers.Dropout(settings.dropout)(base(inputs))
    scores = keras.layers.Dense(arguments.tags, activation="sigmoid", dtype="float32")(x)
    model = keras.Model(inputs, scores)
    adam = keras.optimizers.Adam(Recipe.from_settings(settings).learning_rate)
    model.compile(adam, "binary_crossentropy", metrics=["binary_accuracy"], jit_compile=False)
    pixels = _pixels(config, arguments)
    labels = _labels(len(pixels), arguments)
    rng = np.random.default_rng(0)

    def step() -> None:
        some = rng.permutation(len(pixels))[:size]
        dense = labels[some].toarray().astype(np.float32)
        model.train_on_batch(pixels[some].astype(np.float32), dense)

    return _median_step(step, arguments) / size


def _median_step(step: Callable[[], None], arguments: argparse.Namespace) -> float:
    for _ in range(WARM_UP):
        step()
    return statistics.median(_timed(step) for _ in range(arguments.steps))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _backbone(arguments: argparse.Namespace) -> tuple[BackboneConfig, Settings]:
    (model,) = arguments.models
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    settings = load_settings(
        {
            "model_architecture": model,
            "weights": weights,
            "image_size": arguments.image_size,
            "fine_tune_batch_size": arguments.batch_size,
        }
    )
    return describe_backbone(settings), settings


def _pixels(config: BackboneConfig, arguments: argparse.Namespace) -> np.ndarray:
    """Returns uint8 of shape (images, size, size, 3), at least a batch of them."""
    count = max(arguments.images, arguments.batch_size)
    if arguments.source is None:
        return smooth_images(config.image_size, count)
    files = [f for f in arguments.source.rglob("*") if f.suffix.lower() in IMAGE_EXTENSIONS]
    make = TrainingViews(config, ImageLimits.from_settings(load_settings({})))
    made = [make(str(file), file.read_bytes())[0] for file in sorted(files)[:count]]
    return np.stack([made[number % len(made)] for number in range(count)])


def _labels(count: int, arguments: argparse.Namespace) -> Any:
    """Returns sparse 0/1 with some 4 tags an image."""
    density = min(1.0, 4 / arguments.tags)
    rng = np.random.default_rng(0)
    return random_array(
        (count, arguments.tags), density=density, format="csr", dtype=np.float32, rng=rng
    ).sign()


def _reader(pixels: np.ndarray) -> Callable[[Any], Any]:
    return lambda ids: ((image, pixels[int(image)][None]) for image in ids)


if __name__ == "__main__":
    main()
