"""Two limits of ``tagkin embed``: memory that doesn't grow with the collection, and a quick start.

Memory: peak resident memory of embedding 2,000 and 20,000 images, each run in a process of its
own. The images are those of a folder over and over, with a few bytes appended to each copy, so
that every file is a content of its own.

Start: seconds from starting ``tagkin embed`` in a new process to the first vector, with the graph
in the cache and some images yet to embed; and whether TensorFlow was imported.

    python benchmarks/embed_limits.py FOLDER --model efficientnetv2-s --write docs/benchmarks.md
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pages import show

from tagkin import hardware
from tagkin.backbones import OFFLINE_BACKBONE, resolve_backbone
from tagkin.demo import demo_collection
from tagkin.embeddings import LibrarySample, embed
from tagkin.images import IMAGE_EXTENSIONS
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import load_settings
from tagkin.sources import open_source


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", default=demo_collection().parent / "images")
    parser.add_argument("--model", default="efficientnetv2-s")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--counts", type=int, nargs=2, default=(2000, 20000))
    parser.add_argument("--start-models", nargs="*", default=[OFFLINE_BACKBONE])
    parser.add_argument("--child", choices=("memory", "start"), help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    if arguments.child == "memory":
        _embed_in_this_process(arguments)
        return
    if arguments.child == "start":
        _start_in_this_process(arguments)
        return
    lines = [
        f"{hardware.processor_name()}, {hardware.usable_cores()} cores.",
        "",
        "| what | measured |",
        "|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.start_models:
            lines.append(_start(model, arguments, Path(folder) / model))
            print(lines[-1], flush=True)
        lines.append(_memory(arguments, Path(folder)))
    show("limits", lines, arguments.write)


def _memory(arguments: argparse.Namespace, folder: Path) -> str:
    peaks = []
    for count in arguments.counts:
        library = _library(arguments, count, folder / str(count))
        done = _child("memory", arguments.model, library, arguments)
        peaks.append(done["peak"])
        print(f"{count} images: {done}", flush=True)
    few, many = (f"{peak / 2**20:,.0f} MiB" for peak in peaks)
    return (
        f"| peak memory of `{arguments.model}`, {arguments.counts[1]:,} images against "
        f"{arguments.counts[0]:,} | {many} / {few} = {peaks[1] / peaks[0]:.3f} |"
    )


def _library(arguments: argparse.Namespace, count: int, folder: Path) -> Path:
    images = folder / "images"
    images.mkdir(parents=True)
    originals = sorted(p for p in arguments.source.rglob("*") if p.suffix in IMAGE_EXTENSIONS)
    contents = [path.read_bytes() for path in originals]
    for number in range(count):
        place = number % len(originals)
        copy = images / f"{number:06}{originals[place].suffix}"
        copy.write_bytes(contents[place] + b"copy %d" % number)  # decoders ignore what follows
    library = Library.create_or_open(folder / "library")
    prepare(library, open_source(images), load_settings())
    return library.path


def _child(
    what: str, model: str, library: Path, arguments: argparse.Namespace
) -> dict[str, object]:
    size = ["--image-size", str(arguments.image_size)] if arguments.image_size else []
    done = subprocess.run(
        [sys.executable, __file__, str(library), "--child", what, "--model", model, *size],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    weights = "imagenet" if arguments.model == OFFLINE_BACKBONE else "random"
    return {
        "model_architecture": arguments.model,
        "weights": weights,
        "image_size": arguments.image_size,
    }


def _embed_in_this_process(arguments: argparse.Namespace) -> None:
    settings = load_settings(_options(arguments))
    library = Library.open(arguments.source)
    config = resolve_backbone(settings, LibrarySample(library, settings))
    report = embed(library, config, settings)
    print(
        json.dumps(
            {
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "images": report.added,
                "images_per_second": round(report.added / report.seconds, 1),
                "precision": config.precision,
            }
        )
    )


def _start(model: str, arguments: argparse.Namespace, folder: Path) -> str:
    library = _library(arguments, 64, folder)
    _child("memory", model, library, arguments)  # exports if need be, and makes it the active one
    seconds = []
    for number in range(3):
        extra = folder / "images"
        first = sorted(extra.iterdir())[0]
        for copy in range(16):
            new = extra / f"new{number}-{copy}{first.suffix}"
            new.write_bytes(first.read_bytes() + b"%d %d" % (number, copy))
        prepare(Library.open(library), open_source(extra), load_settings())
        started = time.time()
        done = _child("start", model, library, arguments)
        seconds.append(float(str(done["first_vector_at"])) - started)
        if done["tensorflow"]:
            raise SystemExit("TensorFlow was imported")
    return (
        f"| `{model}`: start of the process to the first vector, graph in the cache, TensorFlow "
        f"not imported | {statistics.median(seconds):.1f} s |"
    )


def _start_in_this_process(arguments: argparse.Namespace) -> None:
    from tagkin.cli.main import app

    at: list[float] = []

    def progress(stage: str, done: int, total: int) -> None:  # noqa: ARG001
        at.append(time.time())

    settings = load_settings(_options(arguments))
    library = Library.open(arguments.source)
    config = resolve_backbone(settings, LibrarySample(library, settings))
    embed(library, config, settings, progress=progress)
    assert app is not None  # noqa: S101 - what a command imports is part of the start
    print(json.dumps({"first_vector_at": at[0], "tensorflow": "tensorflow" in sys.modules}))


if __name__ == "__main__":
    main()
