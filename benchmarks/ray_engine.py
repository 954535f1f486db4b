"""The Ray engine beside the plain one: the same images from files to stored vectors, in turns.

Each run is a process of its own with an empty set of vectors. Two rates are told: that of the whole
run, with loading the backbone and, under Ray, with starting it and its workers; and that of the
images after the first tenth, which is what counts for a large collection. The vectors of both are
compared.

``--decode-apart`` also measures Ray tasks that decode beside actors that only run the network, so
that pixels go through Ray's memory.

    python benchmarks/ray_engine.py FOLDER --write docs/benchmarks.md
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pages import machine, show

from tagkin.backbones import OFFLINE_BACKBONE, BackboneConfig, Runtime, resolve_backbone
from tagkin.backbones.cache import cached_graph
from tagkin.demo import demo_collection
from tagkin.distributed import RayEngine
from tagkin.distributed.session import ray_session
from tagkin.embeddings import LibrarySample, embed, read_images
from tagkin.hardware import usable_cores
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings, load_settings
from tagkin.sources import open_source
from tagkin.views import embed_views

WARM_SHARE = 0.1


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
    parser.add_argument(
        "--models",
        nargs="+",
        default=[f"{OFFLINE_BACKBONE}:2000", "efficientnetv2-s:800"],
        help="each with a number of images, NAME:IMAGES",
    )
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--workers", type=int, default=min(2, usable_cores()))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--decode-apart", action="store_true", help="measure that way as well")
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_one(arguments)))
        return
    source = arguments.source.parent if arguments.source.is_file() else arguments.source
    lines = [
        f"{machine()}; `{source.name}`; {arguments.workers} workers; median of "
        f"{arguments.repeats} runs in turns.",
        "",
        "| backbone | images | precision | engine | images/s, whole run | images/s after the first "
        "tenth | beside the plain engine: whole run | after the first tenth | first vector after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            lines += _measure(model, arguments, Path(folder))
    show("ray", lines, arguments.write)


def _measure(model: str, arguments: argparse.Namespace, folder: Path) -> list[str]:
    name, _, most = model.partition(":")
    settings = _settings(name, arguments.precision)
    everything = Library.create_or_open(folder / "all")
    prepare(everything, open_source(arguments.source), settings)
    rows = [row for row in everything.images() if row.files]
    library = Library.create_or_open(folder / "some")
    library.upsert_images(rows[: int(most or len(rows))])
    config = resolve_backbone(settings, LibrarySample(library, settings))
    cached_graph(config, settings.cache_dir)
    library.update_state(active_backbone=config.to_dict())
    ways = [way for way in ENGINES if way != "decode-apart" or arguments.decode_apart]
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    vectors: dict[str, Any] = {}
    for _ in range(arguments.repeats):
        for way in ways:
            shutil.rmtree(library.path / f"vectors-{config.fingerprint}.lance", ignore_errors=True)
            found[way].append(_child(way, library.path, arguments))
            vectors[way] = library.vectors(config.fingerprint)
    median = {
        way: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for way, runs in found.items()
    }
    for way in ways[1:]:
        same = vectors[way][0] == vectors["plain"][0]
        a, b = (vectors[one][1].astype(np.float32) for one in (way, "plain"))
        print(f"{name}, {way}: same ids: {same}, largest difference {np.abs(a - b).max():.2g}")
    count = len(library.image_ids())
    lines = [
        f"| {name} | {count} | {config.precision} | {way} | {at['whole']:.1f} | {at['warm']:.1f} "
        f"| {at['whole'] / median['plain']['whole']:.2f} "
        f"| {at['warm'] / median['plain']['warm']:.2f} | {at['first']:.1f} s |"
        for way, at in median.items()
    ]
    print("\n".join(lines), flush=True)
    return lines


def _settings(model: str, precision: str) -> Settings:
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    return load_settings({"model_architecture": model, "weights": weights, "precision": precision})


def _child(way: str, library: Path, arguments: argparse.Namespace) -> dict[str, float]:
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--one", way, "--library", str(library)),
            *("--workers", str(arguments.workers)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {way}: {answer}", file=sys.stderr, flush=True)
    return answer


def _one(arguments: argparse.Namespace) -> dict[str, float]:
    """Embeds all images of a library once, and returns its rates."""
    library = Library.open(arguments.library)
    config = BackboneConfig.from_dict(library.state.active_backbone or {})
    engine = ENGINES[arguments.one](arguments.workers)
    times: list[float] = []
    started = time.perf_counter()
    report = embed(
        library,
        config,
        load_settings(),
        engine=engine,
        progress=lambda *_: times.append(time.perf_counter() - started),
    )
    seconds = time.perf_counter() - started
    warm = round(WARM_SHARE * report.added)
    return {
        "whole": report.added / seconds,
        "warm": (report.added - warm) / (seconds - times[warm - 1]),
        "first": times[0],
    }


class _DecodeApart:
    """Ray tasks that decode, and actors that only run the network; for comparison."""

    CHUNK = 16

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def __call__(
        self, rows: Any, _count: int, config: BackboneConfig, settings: Settings, _problems: Any
    ) -> Iterator[Any]:
        graph = cached_graph(config, settings.cache_dir)
        one_thread = settings.model_copy(update={"decode_threads": 1})
        with ray_session(None) as ray:
            decode = ray.remote(_decode).options(num_cpus=0.01)
            actor = ray.remote(_OnlyRuns).options(num_cpus=0.5, max_concurrency=2)
            actors = [actor.remote(str(graph), config.precision) for _ in range(self._workers)]
            busy: dict[Any, int] = {}
            chunks = iter(lambda: list(islice(rows, self.CHUNK)), [])
            for number in range(2 * self._workers):
                if (chunk := next(chunks, None)) is not None:
                    busy[self._pass_on(decode, actors, number, chunk, config, one_thread)] = number
            while busy:
                done = ray.wait(list(busy), num_returns=1)[0][0]
                number = busy.pop(done)
                if (chunk := next(chunks, None)) is not None:
                    busy[self._pass_on(decode, actors, number, chunk, config, one_thread)] = number
                yield from ray.get(done)

    def _pass_on(
        self, decode: Any, actors: Any, number: int, chunk: Any, config: Any, settings: Any
    ) -> Any:
        pixels = decode.remote(chunk, config, settings)
        return actors[number % self._workers].run.remote(pixels)


def _decode(rows: Any, config: BackboneConfig, settings: Settings) -> Any:
    return list(read_images(rows, config, settings, []))


class _OnlyRuns:
    def __init__(self, graph: str, precision: Any) -> None:
        self._runtime = Runtime(Path(graph), precision, threads=1)

    def run(self, pixels: Any) -> Any:
        return list(embed_views(self._runtime, pixels))


ENGINES: dict[str, Any] = {
    "plain": lambda _workers: None,
    "ray": lambda workers: RayEngine(workers=workers),
    "decode-apart": _DecodeApart,
}


if __name__ == "__main__":
    main()
