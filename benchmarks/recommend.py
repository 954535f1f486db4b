"""Is what ``tagkin recommend`` predicts what happens, and the table it scales from.

Without an option: for each backbone, what ``tagkin recommend`` says of images per second and peak
memory, beside real runs of ``tagkin embed`` on a folder of images, each in a process of its own,
back to back; medians. Weights are random except for efficientnet-lite0.

``--limits``: the advice under one core and under limits of memory, and whether a run of what it
advises fits. Memory is limited with a control group where one can be made (as root), else with
``ulimit -v``.

``--instruction-sets``: images per second as measured and as the table would have it, with the
instructions held down by ``ONEDNN_MAX_CPU_ISA``.

``--ratios``: measures the shipped table ``src/tagkin/recommending/ratios.json`` anew. Every answer
is kept in a file (``--raw``), so that a killed run goes on. It takes about half an hour.

    python benchmarks/recommend.py --ratios
    python benchmarks/recommend.py PHOTOS --write docs/recommend.md
    python benchmarks/recommend.py PHOTOS --limits --write docs/recommend.md
    python benchmarks/recommend.py --instruction-sets --write docs/recommend.md
"""

import argparse
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pages import machine, show

from tagkin import hardware
from tagkin.backbones import BACKBONES, OFFLINE_BACKBONE
from tagkin.backbones.cache import exported_sizes
from tagkin.demo import demo_collection
from tagkin.images import IMAGE_EXTENSIONS
from tagkin.machine import Machine
from tagkin.recommending.costs import CostModel
from tagkin.recommending.measuring import MeasurementError, Plan, ask, measure
from tagkin.recommending.ratios import shipped_ratios
from tagkin.settings import load_settings

TABLE = Path(__file__).parents[1] / "src" / "tagkin" / "recommending" / "ratios.json"
SECONDS = 8.0  # of a measurement for the table
REAL_SECONDS = 60.0  # of a real run, in which loading the graph hardly counts
LEAST_IMAGES, MOST_IMAGES = 24, 1900  # from 2,000 on, embed may choose larger batches
LIMITS = ("no limit", "1 core", "2 GiB", "6 GiB")
CEILINGS = ("", "AVX512_CORE_BF16", "AVX512_CORE_VNNI", "AVX512_CORE", "AVX2")
NEEDS = {"AVX512_CORE_BF16": "bf16", "AVX512_CORE_VNNI": "VNNI", "AVX512_CORE": "AVX-512"}


def main() -> None:
    """Measures and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", default=demo_collection().parent / "images")
    parser.add_argument("--models", nargs="+", default=list(BACKBONES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ratios", action="store_true")
    parser.add_argument("--raw", type=Path, default=Path(tempfile.gettempdir()) / "ratios.jsonl")
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--instruction-sets", action="store_true")
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    if arguments.ratios:
        _ratios(arguments)
    elif arguments.limits:
        show("recommend-limits", _limits(arguments), arguments.write)
    elif arguments.instruction_sets:
        show("recommend-instructions", _instructions(), arguments.write)
    else:
        show("recommend", _predicted_and_real(arguments), arguments.write)


# Predicted and real ---------------------------------------------------------------------------


def _predicted_and_real(arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"{machine()}; `{arguments.source.name}`; medians of {arguments.repeats} real runs, "
        "back to back with the prediction.",
        "",
        "| backbone | pixels | images/s predicted | real | ratio | peak memory predicted | real "
        "| ratio |",
        "|---" * 8 + "|",
    ]
    worst = 0.0
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            predicted, real = _beside(model, arguments, Path(folder))
        speed, memory = real["rate"], real["peak"]
        ratios = predicted["images_per_second"] / speed, predicted["memory"] / memory
        worst = max(worst, *(abs(ratio - 1) for ratio in ratios))
        lines.append(
            f"| {model} | {predicted['image_size']} | {predicted['images_per_second']:.3g} "
            f"| {speed:.3g} | {ratios[0]:.2f} | {predicted['memory'] / 2**20:,.0f} MiB "
            f"| {memory / 2**20:,.0f} MiB | {ratios[1]:.2f} |"
        )
        print(lines[-1], flush=True)
    return [*lines, "", f"The largest error is {100 * worst:.0f} %."]


def _beside(
    model: str, arguments: argparse.Namespace, folder: Path
) -> tuple[dict[str, Any], dict[str, float]]:
    own = BACKBONES[model].image_size
    _library(arguments, folder, LEAST_IMAGES)
    first = _embed(model, own, folder)  # exports and chooses the precision, once
    rate = first["images"] / first["seconds"]
    count = int(min(MOST_IMAGES, max(LEAST_IMAGES, rate * REAL_SECONDS)))
    _library(arguments, folder, count)
    predicted = _predict(model, own, folder)
    runs = []
    for _ in range(arguments.repeats):
        for vectors in folder.glob("library/vectors-*"):
            subprocess.run(["rm", "-rf", str(vectors)], check=True)
        runs.append(_embed(model, own, folder))
    return predicted, {
        "rate": statistics.median(run["images"] / run["seconds"] for run in runs),
        "peak": statistics.median(run["peak"] for run in runs),
    }


def _predict(model: str, size: int, folder: Path) -> dict[str, Any]:
    """Measures as ``tagkin recommend`` does, now and with these files, in a cache of its own."""
    cache = folder / "cache"
    cache.mkdir()
    (cache / "graphs").symlink_to(load_settings().cache_dir / "graphs")
    files = sorted((folder / "images").iterdir())[:32]
    here = Machine.here(folder, cache)
    costs = CostModel(here, measure(Plan(cache, files, architectures=[model]), here))
    rate = costs.rate(model, size)
    if rate.source != "measured":
        raise SystemExit(f"{model} was not measured")
    return {
        "image_size": size,
        "images_per_second": rate.images_per_second,
        "memory": costs.embed_memory(model, size),
    }


def _library(arguments: argparse.Namespace, folder: Path, count: int) -> None:
    """Makes a library of so many images, those of the source over and over."""
    originals = sorted(p for p in arguments.source.rglob("*") if p.suffix in IMAGE_EXTENSIONS)
    (folder / "images").mkdir(exist_ok=True)
    for number in range(count):
        original = originals[number % len(originals)]
        copy = folder / "images" / f"{number:06}{original.suffix}"
        copy.write_bytes(original.read_bytes() + b"copy %d" % number)
    _tagkin("prepare", str(folder / "images"), folder=folder)


def _embed(model: str, size: int, folder: Path, limit: str = "no limit") -> dict[str, float]:
    """Embeds all images in a process of its own; returns images, seconds and peak memory."""
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    arguments = ["embed", "--model", model, "--weights", weights, "--image-size", str(size)]
    answer, peak = _tagkin(*arguments, "--json", folder=folder, limit=limit)
    return {"images": answer["added"], "seconds": answer["seconds"], "peak": peak}


def _recommend(folder: Path, *options: str, limit: str = "no limit") -> dict[str, Any]:
    return _tagkin("recommend", "--json", *options, folder=folder, limit=limit)[0]


def _tagkin(*arguments: str, folder: Path, limit: str = "no limit") -> tuple[Any, int]:
    """Runs a command; returns its JSON, if it prints any, and its peak memory in bytes."""
    code = (
        "import resource, sys\n"
        "from tagkin.cli.main import run\n"
        "try:\n    run()\n"
        "finally:\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "    print(peak, file=sys.stderr)\n"
    )
    with _limited(limit) as (prefix, before):
        done = subprocess.run(
            [*prefix, sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            preexec_fn=before,
            env={**os.environ, "TAGKIN_LIBRARY": str(folder / "library")},
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr}")
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if "--json" in arguments else None, int(done.stderr.split()[-1])


# Limits ---------------------------------------------------------------------------------------


def _limits(arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"{machine()}; {LEAST_IMAGES} images of `{arguments.source.name}`; advice for 100,000 "
        "images within 8 hours, then embedding with what it says, under the same limit, the export "
        "included.",
        "",
        "| limit | made by | advice | predicted peak of the first run | real peak |",
        "|---" * 5 + "|",
    ]
    for limit in LIMITS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _library(arguments, folder, LEAST_IMAGES)
            # In an empty cache, so that the export has to fit as well.
            before = os.environ.get("TAGKIN_CACHE_DIR")
            os.environ["TAGKIN_CACHE_DIR"] = str(folder / "cache")
            wish = ("--quick", "--images", "100000", "--budget", "8h")
            said = _recommend(folder, *wish, limit=limit)
            chosen, cells = said["recommended"], " |"
            if chosen:
                run = _embed(chosen["architecture"], chosen["image_size"], folder, limit)
                peaks = chosen["first_memory"] / 2**20, run["peak"] / 2**20
                cells = f"{peaks[0]:,.0f} MiB | {peaks[1]:,.0f} MiB"
            lines.append(f"| {limit} | {_how(limit)} | {said['reason']} | {cells} |")
            del os.environ["TAGKIN_CACHE_DIR"]
            if before is not None:
                os.environ["TAGKIN_CACHE_DIR"] = before
        print(lines[-1], flush=True)
    return lines


def _how(limit: str) -> str:
    if limit.endswith("core"):
        return "taskset"
    if limit == "no limit":
        return ""
    return "control group" if _memory_groups() else "ulimit -v"


def _memory_groups() -> Path | None:
    """Returns a folder in which control groups for memory can be made; None if there is none."""
    for folder, file in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "cgroup.controllers"),
    ):
        if (folder / file).exists() and os.access(folder, os.W_OK):
            return folder
    return None


@contextlib.contextmanager
def _limited(limit: str) -> Iterator[tuple[list[str], Callable[[], None] | None]]:
    """Gives what to put before a command, and what to call in the child before it starts."""
    if limit == "1 core":
        yield ["taskset", "-c", str(min(os.sched_getaffinity(0)))], None
        return
    if limit == "no limit":
        yield [], None
        return
    size = int(limit.split()[0]) * 2**30
    parent = _memory_groups()
    if parent is None:
        yield ["prlimit", f"--as={size}"], None
        return
    group = parent / f"tagkin-benchmark-{os.getpid()}"
    group.mkdir()
    try:
        version_1 = (group / "memory.limit_in_bytes").exists()
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(size))

        def join() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        yield [], join
    finally:
        group.rmdir()


# Instruction sets -----------------------------------------------------------------------------


def _instructions() -> list[str]:
    shown = (OFFLINE_BACKBONE, "resnet50", "efficientnetv2-s", "efficientnetv2-l")
    lines = [
        f"{machine()}; images per second from files, as measured / as `--quick` scales them from "
        "the shipped table.",
        "",
        f"| instructions | precision | {' | '.join(shown)} |",
        "|---" * (2 + len(shown)) + "|",
    ]
    for ceiling in CEILINGS:
        if NEEDS.get(ceiling, "AVX2") not in hardware.instructions():
            lines.append(f"| {ceiling} | not on this processor |" + " |" * len(shown))
            continue
        with tempfile.TemporaryDirectory() as name:
            os.environ["ONEDNN_MAX_CPU_ISA"] = ceiling or "ALL"
            # In a cache without measurements, which has the same graphs.
            cache = Path(name)
            (cache / "graphs").symlink_to(load_settings().cache_dir / "graphs")
            before, os.environ["TAGKIN_CACHE_DIR"] = (
                os.environ.get("TAGKIN_CACHE_DIR", str(load_settings().cache_dir)),
                name,
            )
            quick = _rates(_recommend(cache, "--quick"))
            measured_all = _recommend(cache, "--again")
            os.environ["TAGKIN_CACHE_DIR"] = before
            del os.environ["ONEDNN_MAX_CPU_ISA"]
        measured = _rates(measured_all)
        cells = [f"{measured[name]:.3g} / {quick[name]:.3g}" for name in shown]
        precision = measured_all["machine"]["precision"]
        lines.append(f"| {ceiling or 'all'} | {precision} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def _rates(said: Mapping[str, Any]) -> dict[str, float]:
    own = {name: spec.image_size for name, spec in BACKBONES.items()}
    return {
        row["architecture"]: row["images_per_second"]
        for row in said["options"]
        if row["image_size"] == own[row["architecture"]]
    }


# The shipped table ----------------------------------------------------------------------------


def _ratios(arguments: argparse.Namespace) -> None:
    raw = arguments.raw
    old = shipped_ratios()
    anchor = _kept(raw, {"part": "anchor"})
    if anchor is None:
        raise SystemExit("the anchor network can't be run here")
    rows = {name: _row(name, raw) for name in BACKBONES}
    lite0 = _kept(raw, _embed_request(OFFLINE_BACKBONE, "f32", 1)) or {}
    v2_s = _kept(raw, _embed_request("efficientnetv2-s", "f32", 1)) or {}
    cores = hardware.usable_cores()
    network = 1 / lite0["images_per_second"] - 1 / lite0["in_memory"]
    table = {
        "machine": machine(),
        "made": datetime.date.today().isoformat(),
        "cores": cores,
        "requests": anchor["requests"],
        "anchor": anchor["rates"],
        "decode_seconds": {"224": lite0["decode_seconds"], "384": v2_s["decode_seconds"]},
        "megapixels": old.megapixels,
        "overhead_seconds": max(0.0, network - lite0["decode_seconds"] / cores),
        "head_seconds": old.head_seconds,
        "address_overhead": lite0["addresses"] - lite0["resident"],
        "classes": old.classes,
        "backbones": rows,
    }
    TABLE.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
    print(f"wrote {TABLE}")


def _row(model: str, raw: Path) -> dict[str, Any]:
    """Measures one backbone; what fails is null."""
    cache = str(load_settings().cache_dir)
    own = BACKBONES[model].image_size
    weights = "imagenet" if model == OFFLINE_BACKBONE else "random"
    about = {"architecture": model, "weights": weights, "image_size": own}
    export = _kept(raw, {"part": "export", **about, "precision": "f32"})
    if not exported_sizes(model, Path(cache)):
        ask({"part": "export", **about, "precision": "f32", "cache_dir": cache})
    precisions = ["f32", "bf16"] if hardware.has_bf16() else ["f32"]
    single = {p: _kept(raw, _embed_request(model, p, 1)) or {} for p in precisions}
    batch = {p: _kept(raw, _embed_request(model, p, 4)) or {} for p in precisions}
    first = _kept(raw, {**_embed_request(model, precisions[-1], 1), "part": "first"})
    tune = {
        size: _kept(
            raw,
            {
                **{"part": "tail", **about, "precision": precisions[-1], "cache_dir": cache},
                **{"batch": size, "steps": 5, "tags": 374},
            },
        )
        for size in (4, 16)
    }
    low, high = tune[4], tune[16]
    return {
        "image_size": own,
        "in_memory": {p: single[p]["in_memory"] for p in precisions},
        "resident": {p: _line(single[p], batch[p]) for p in precisions},
        "first": first and first["resident"],
        "export": export and export["resident"],
        "export_seconds": export and export["seconds"],
        "trunk_per_second": high and high["trunk_per_second"],
        "tail_per_second": high and high["tail_per_second"],
        "activation_bytes": high and high["activation_bytes"],
        "fine_tune": _through(4, low["resident"], 16, high["resident"]) if low and high else None,
    }


def _embed_request(model: str, precision: str, batch: int) -> dict[str, Any]:
    own = BACKBONES[model].image_size
    graphs = exported_sizes(model, load_settings().cache_dir)
    return {
        "part": "embed",
        "graph": str(graphs.get(own, "")),
        "architecture": model,
        "image_size": own,
        "precision": precision,
        "batch": batch,
        "seconds": SECONDS,
        "files": [],
    }


def _line(one: Mapping[str, Any], four: Mapping[str, Any]) -> list[float]:
    requests = one["requests"]
    return _through(requests, one["resident"], 4 * four["requests"], four["resident"])


def _through(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    slope = max(0.0, (y2 - y1) / (x2 - x1))
    return [y1 - slope * x1, slope]


def _kept(raw: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the answer to a request, from the file if it is there; None if it fails."""
    if raw.exists():
        for line in raw.read_text("utf-8").splitlines():
            entry = json.loads(line)
            if entry["request"] == request:
                answer: dict[str, Any] | None = entry["answer"]
                return answer
    try:
        answer = ask(request)
    except MeasurementError as error:
        print(f"{request} failed: {error}", file=sys.stderr, flush=True)
        answer = None
    print(f"{request} -> {answer}", file=sys.stderr, flush=True)
    with raw.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"request": request, "answer": answer}) + "\n")
    return answer


if __name__ == "__main__":
    main()
