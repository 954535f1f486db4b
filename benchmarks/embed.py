"""Images per second from files on disk to stored vectors, beside its peers, in one run.

For each backbone, in turns, so that a noisy machine is noisy for all of them:

* Keras: ``keras.Model.predict`` on batches that are already decoded, f32, the published recipe;
* timm: the same network in PyTorch, bf16 and channels-last, on arrays in memory, if ``--timm``
  names a Python that has ``torch`` and ``timm`` (not a dependency; CONTRIBUTING.md says how);
* OpenVINO: the exported graph on arrays in memory, the limit of what a pipeline can reach;
* Tagkin: ``tagkin.embed`` from image files into a library, with the same loaded graph.

``--instruction-sets`` runs one backbone with each precision on each instruction set that this
processor has, held down with ``ONEDNN_MAX_CPU_ISA``, from files.

Weights are random except for efficientnet-lite0: speed doesn't depend on them.

    python benchmarks/embed.py FOLDER --write docs/benchmarks.md
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pages import machine, show

from tagkin import hardware
from tagkin.backbones import (
    BACKBONES,
    OFFLINE_BACKBONE,
    BackboneConfig,
    Embedder,
    Runtime,
    cached_graph,
    open_backbone,
    resolve_backbone,
)
from tagkin.backbones.config import describe_backbone
from tagkin.backbones.keras_models import build_model
from tagkin.demo import demo_collection
from tagkin.embeddings import LibrarySample, decode_views, embed
from tagkin.errors import TagkinError
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings, load_settings
from tagkin.sources import open_source

#: A measurement takes about as long, with at least and at most so many images.
SECONDS = 10.0
LEAST_IMAGES, LEAST_KERAS_IMAGES = 24, 8
PEER = Path(__file__).with_name("timm_peer.py")
INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX512_CORE": {"avx512f", "avx512bw"},
    "AVX512_CORE_VNNI": {"avx512_vnni"},
    "AVX512_CORE_BF16": {"avx512_bf16"},
    "AVX512_CORE_AMX": {"amx_bf16", "amx_int8"},
}


def main() -> None:
    """Measures and prints Markdown tables."""
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
    parser.add_argument("--batch-size", type=int, default=8, help="of Keras and timm")
    parser.add_argument("--precision", default="auto", help="of OpenVINO and Tagkin")
    parser.add_argument("--timm", type=Path, metavar="PYTHON", help="a Python that has timm")
    parser.add_argument("--instruction-sets", metavar="MODEL", help="measure these instead")
    parser.add_argument("--from-files-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    if unknown := set(arguments.models) - set(BACKBONES):
        parser.error(f"no such backbone: {', '.join(unknown)}; choose from {', '.join(BACKBONES)}")
    if arguments.from_files_only:
        print(json.dumps(_from_files(arguments.models[0], arguments)))
        return
    name = "embed"
    if arguments.instruction_sets:
        name, lines = "instruction-sets", _instruction_sets(arguments)
    else:
        lines = _backbones(arguments)
    show(name, lines, arguments.write)


def _heading(arguments: argparse.Namespace) -> str:
    source = arguments.source.parent if arguments.source.is_file() else arguments.source
    return (
        f"{machine()}; `{source.name}`; median of {arguments.repeats} runs in "
        "turns; images per second."
    )


# One backbone beside its peers ----------------------------------------------------------------


def _backbones(arguments: argparse.Namespace) -> list[str]:
    lines = [
        _heading(arguments),
        "",
        "| backbone | pixels | precision | Keras predict f32 | timm bf16 | OpenVINO in memory "
        "| Tagkin from files | Tagkin / Keras | Tagkin / timm | Tagkin / OpenVINO |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(_measure(model, arguments, Path(folder)))
        print(lines[-1], flush=True)
    return lines


def _measure(model: str, arguments: argparse.Namespace, folder: Path) -> str:
    library, config, settings, backbone = _opened(model, arguments, folder)
    pixels = _pixels(library, config, settings)
    keras_model = build_model(config)
    # Keras is steady from its second batch on, and too slow to be given all images.
    few = pixels[: max(LEAST_KERAS_IMAGES, len(pixels) // 4)].astype(np.float32)
    keras_model.predict(few[: arguments.batch_size], batch_size=arguments.batch_size, verbose=0)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "keras": (
            len(few),
            lambda: keras_model.predict(few, batch_size=arguments.batch_size, verbose=0),
        ),
        "openvino": (len(pixels), lambda: _drain(backbone, pixels)),
        "tagkin": (len(pixels), lambda: _embed_anew(library, config, settings, backbone)),
    }
    rates: dict[str, list[float]] = {name: [] for name in (*ways, "timm")}
    for _ in range(arguments.repeats):
        for name, (count, way) in ways.items():
            started = time.perf_counter()
            way()
            rates[name].append(count / (time.perf_counter() - started))
        if arguments.timm:
            rates["timm"].append(_timm(model, few.astype(np.uint8), arguments, folder))
    keras, openvino, tagkin = (statistics.median(rates[name]) for name in ways)
    timm = statistics.median(rates["timm"]) if rates["timm"] else None
    timm_cells = (f"{timm:.1f}", f"{tagkin / timm:.1f}") if timm else ("", "")
    return (
        f"| {model} | {config.image_size} | {config.precision} | {keras:.1f} | {timm_cells[0]} "
        f"| {openvino:.1f} | {tagkin:.1f} | {tagkin / keras:.1f} | {timm_cells[1]} "
        f"| {tagkin / openvino:.2f} |"
    )


def _opened(
    model: str, arguments: argparse.Namespace, folder: Path
) -> tuple[Library, BackboneConfig, Settings, Embedder]:
    """Returns a library with as many images as one measurement takes, and the loaded backbone."""
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    settings = load_settings(
        {"model_architecture": model, "weights": weights, "precision": arguments.precision}
    )
    everything = Library.create_or_open(folder / "all")
    prepare(everything, open_source(arguments.source), settings)
    sample = LibrarySample(everything, settings)
    if arguments.precision == "int8":
        config, backbone = _int8(settings, sample, folder)
    else:
        config = resolve_backbone(settings, sample, lambda text: print(text, file=sys.stderr))
        backbone = open_backbone(config, settings.cache_dir, images=100_000)
    few = sample.pixels(sample.ids(16), config)
    _drain(backbone, few[:4])
    started = time.perf_counter()
    _drain(backbone, few)
    rate = len(few) / (time.perf_counter() - started)
    rows = [row for row in everything.images() if row.files]
    library = Library.create_or_open(folder / "some")
    library.upsert_images(rows[: min(arguments.images, max(LEAST_IMAGES, round(SECONDS * rate)))])
    return library, config, settings, backbone


def _int8(
    settings: Settings, sample: LibrarySample, folder: Path
) -> tuple[BackboneConfig, Embedder]:
    """Quantizes with few images: speed doesn't depend on how good the graph is.

    Most weights here are random, so that the graph would be refused.
    """
    from tagkin.backbones.quantize import quantize_graph

    config = describe_backbone(settings)
    pixels = sample.pixels(sample.ids(24), config)
    (folder / "int8").mkdir()
    graph = cached_graph(config, settings.cache_dir)
    quantize_graph(graph, folder / "int8", pixels[:16], pixels[16:], min_overlap=0)
    made = replace(config, precision="int8", calibration="benchmark")
    return made, Runtime(folder / "int8" / "model.xml", "int8")


def _pixels(library: Library, config: BackboneConfig, settings: Settings) -> np.ndarray:
    limits = ImageLimits.from_settings(settings)
    files = [row.paths[0].read_bytes() for row in library.images()]
    return np.concatenate([decode_views(data, config, limits)[:1] for data in files])


def _drain(backbone: Embedder, pixels: np.ndarray) -> None:
    for _ in backbone.embed_stream(enumerate(pixels)):
        pass


def _embed_anew(
    library: Library, config: BackboneConfig, settings: Settings, backbone: Embedder
) -> None:
    shutil.rmtree(library.path / f"vectors-{config.fingerprint}.lance", ignore_errors=True)
    embed(library, config, settings, backbone=backbone)


def _timm(model: str, pixels: np.ndarray, arguments: argparse.Namespace, folder: Path) -> float:
    file = folder / "pixels.npy"
    np.save(file, pixels)
    done = subprocess.run(
        [
            *(arguments.timm, PEER, model, str(pixels.shape[1]), file),
            *("--batch-size", str(arguments.batch_size), "--precision", "bf16", "--repeats", "1"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["images_per_second"])


# Instruction sets -----------------------------------------------------------------------------


def _instruction_sets(arguments: argparse.Namespace) -> list[str]:
    model, precisions = arguments.instruction_sets, ("f32", "bf16", "int8")
    lines = [
        _heading(arguments),
        "",
        f"| {model}, from files | {' | '.join(precisions)} |",
        "|---" * (len(precisions) + 1) + "|",
    ]
    for name, needs in INSTRUCTION_SETS.items():
        if not needs <= hardware.processor_flags():
            lines.append(f"| {name} | not on this processor |" + " |" * (len(precisions) - 1))
            continue
        cells = [_in_child(model, name, precision, arguments) for precision in precisions]
        rates = [f"{cell['rate']:.1f}" if "rate" in cell else cell["error"] for cell in cells]
        lines.append(f"| {name} | {' | '.join(rates)} |")
        print(lines[-1], flush=True)
    return lines


def _in_child(
    model: str, instruction_set: str, precision: str, arguments: argparse.Namespace
) -> dict[str, object]:
    done = subprocess.run(
        [
            *(sys.executable, __file__, str(arguments.source), "--from-files-only"),
            *("--models", model, "--precision", precision),
            *("--images", str(arguments.images), "--repeats", str(arguments.repeats)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": instruction_set},
    )
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _from_files(model: str, arguments: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            library, config, settings, backbone = _opened(model, arguments, Path(folder))
        except TagkinError as error:
            return {"error": "refused" if "bf16" in str(error) else str(error)}
        rates = []
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            _embed_anew(library, config, settings, backbone)
            rates.append(len(library.image_ids()) / (time.perf_counter() - started))
    return {"rate": statistics.median(rates)}


if __name__ == "__main__":
    main()
