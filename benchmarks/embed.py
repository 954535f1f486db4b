"""Images per second from files on disk to stored vectors, beside the usual way.

For each backbone, in one run and in turns, so that a noisy machine is noisy for all of them:

* Keras: ``keras.Model.predict`` on batches that are already decoded, f32, the published recipe;
* OpenVINO: the exported graph on arrays in memory, the limit of what a pipeline can reach;
* Tagkin: ``tagkin.embed`` from image files into a library.

Weights are random except for efficientnet-lite0: speed doesn't depend on them.

    python benchmarks/embed.py FOLDER --write docs/benchmarks.md
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tagkin import hardware
from tagkin.backbones import BACKBONES, OFFLINE_BACKBONE, BackboneConfig, open_backbone
from tagkin.backbones.config import resolve_backbone
from tagkin.backbones.keras_models import build_model
from tagkin.demo import demo_collection
from tagkin.embeddings import embed, square
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings, load_settings
from tagkin.sources import open_source

#: A measurement of OpenVINO takes about as long, with at least so many images.
_SECONDS, _LEAST_IMAGES = 8.0, 8
_START, _END = "<!-- embed: start -->", "<!-- embed: end -->"


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "source",
        type=Path,
        nargs="?",
        default=demo_collection(),
        help="a folder of images, or a table; the demo collection if not given",
    )
    parser.add_argument("--models", nargs="+", default=[OFFLINE_BACKBONE, "resnet50"])
    parser.add_argument("--images", type=int, default=256, help="images a measurement, at most")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8, help="of Keras")
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(BACKBONES):
        parser.error(f"no such backbone: {', '.join(unknown)}; choose from {', '.join(BACKBONES)}")

    lines = [
        f"{hardware.processor_name()}, {hardware.usable_cores()} cores, f32; up to "
        f"{arguments.images} images of `{arguments.source.parent.name}`; median of "
        f"{arguments.repeats} runs in turns; images per second.",
        "",
        "| backbone | pixels | Keras predict f32 | OpenVINO in memory | Tagkin from files "
        "| Tagkin / Keras | Tagkin / OpenVINO |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models:
            lines.append(_measure(model, arguments, Path(folder)))
            print(lines[-1])
    text = "\n".join(lines)
    print("\n" + text)
    if arguments.write:
        page = arguments.write.read_text("utf-8")
        before, after = page.split(_START)[0], page.split(_END)[1]
        arguments.write.write_text(f"{before}{_START}\n{text}\n{_END}{after}", "utf-8")


def _measure(model: str, arguments: argparse.Namespace, folder: Path) -> str:
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    settings = load_settings({"model_architecture": model, "weights": weights, "precision": "f32"})
    config = resolve_backbone(settings)
    backbone = open_backbone(config, settings.cache_dir)
    keras_model = build_model(config)
    library = Library.create_or_open(folder / model)
    prepare(library, open_source(arguments.source), settings)
    rows = [row for row in library.images() if row.files][: arguments.images]
    limits = ImageLimits.from_settings(settings)
    few = np.stack([square(row.paths[0].read_bytes(), config, limits) for row in rows[:4]])
    backbone.embed(few)
    started = time.perf_counter()
    backbone.embed(few)
    seconds = (time.perf_counter() - started) / len(few)
    rows = rows[: max(_LEAST_IMAGES, round(_SECONDS / seconds))]
    small = Library.create_or_open(folder / f"{model}-some")
    small.upsert_images(rows)
    pixels = np.stack([square(row.paths[0].read_bytes(), config, limits) for row in rows])

    ways: dict[str, Callable[[], object]] = {
        "keras": lambda: keras_model.predict(
            pixels.astype(np.float32), batch_size=arguments.batch_size, verbose=0
        ),
        "openvino": lambda: backbone.embed(pixels),
        "tagkin": lambda: _embed_anew(small, config, settings),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    keras_model.predict(pixels[:16].astype(np.float32), batch_size=arguments.batch_size, verbose=0)
    for _ in range(arguments.repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            rates[name].append(len(rows) / (time.perf_counter() - started))
    keras, openvino, tagkin = (statistics.median(rates[name]) for name in ways)
    return (
        f"| {model} | {config.image_size} | {keras:.1f} | {openvino:.1f} | {tagkin:.1f} "
        f"| {tagkin / keras:.1f} | {tagkin / openvino:.2f} |"
    )


def _embed_anew(library: Library, config: BackboneConfig, settings: Settings) -> None:
    shutil.rmtree(library.path / f"vectors-{config.fingerprint}.lance", ignore_errors=True)
    embed(library, config, settings)


if __name__ == "__main__":
    main()
