"""Measures this machine: each backbone in a child process, within a limit of time.

A child that fails or takes too long costs only its own figure, which is then scaled from the
others.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagkin.backbones.cache import exported_sizes
from tagkin.backbones.catalogue import BACKBONES, OFFLINE_BACKBONE
from tagkin.backbones.sample import Note, silent
from tagkin.machine import Machine
from tagkin.recommending.costs import CostModel
from tagkin.recommending.ratios import shipped_ratios
from tagkin.recommending.stored import Measurement, Measurements, load_measurements
from tagkin.recommending.stored import save_measurements as save

#: Seconds that measuring may take: with all graphs in the cache, and if some must be exported.
CACHED_SECONDS, FIRST_SECONDS = 60.0, 300.0

_RUN_SECONDS = 2.0  # of embedding, but for what a few images take anyway
_STARTING_SECONDS = 4.0  # of a child, and of loading a graph
_LEAST_SECONDS = 10.0  # for the child that is under way when time is up

#: Sizes that ``--full`` measures where the backbone takes them.
FULL_SIZES = (224, 288, 384, 480)


class MeasurementError(Exception):
    """A child failed; the message says why."""


class TooSlowError(MeasurementError):
    """A child took longer than it may."""


@dataclass
class Plan:
    """What to measure, and within which time.

    Attributes:
        cache_dir: With exported graphs; new ones go there.
        files: Of the owner, to embed; made up if there are none.
        full: Whether every size is measured, without a limit of time.
        again: Whether what is known already is measured anew.
        architectures: Which backbones.
    """

    cache_dir: Path
    files: Sequence[Path] = ()
    full: bool = False
    again: bool = False
    architectures: Sequence[str] = field(default_factory=lambda: list(BACKBONES))


def measure_anchor(cache_dir: Path) -> Measurements:
    """Returns what is known of this machine, after a run of the anchor network if need be.

    Args:
        cache_dir: The cache folder.
    """
    known = load_measurements(cache_dir)
    if not known.anchor:
        with suppress(MeasurementError):
            answer = ask({"part": "anchor"}, timeout=60.0)
            known.anchor, known.requests = answer["rates"], answer["requests"]
            save(known, cache_dir)
    return known


def measure(plan: Plan, machine: Machine, note: Note = silent) -> Measurements:
    """Measures the backbones that the cache has graphs of, and exports others while there is time.

    Args:
        plan: What to measure.
        machine: This one; what doesn't fit into its memory isn't tried.
        note: Told, in a sentence, what is being done.

    Returns:
        What is known now, which is stored as well.
    """
    started = time.monotonic()
    known = measure_anchor(plan.cache_dir)
    if plan.again:
        known.rows = []
    known.failed = {}  # there may be more memory than last time
    graphs = {name: exported_sizes(name, plan.cache_dir) for name in plan.architectures}
    whole = CACHED_SECONDS if all(graphs.values()) else FIRST_SECONDS
    deadline = float("inf") if plan.full else started + whole
    jobs = list(_jobs(plan, graphs))
    for architecture, size in jobs:
        costs = CostModel(machine, known)
        if known.find(architecture, size, costs.precision):
            continue
        left = deadline - time.monotonic()
        if left < _STARTING_SECONDS:
            note(f"no time was left to measure {architecture}: its figures are scaled")
            continue
        try:
            graph = _graph(architecture, size, costs, plan, left, note)
            if graph is None:
                continue
            if costs.embed_memory(architecture, size) > machine.available:
                known.failed[architecture] = "it needs more memory than there is"
                continue
            note(f"measuring {architecture} at {size} pixels")
            left = max(_LEAST_SECONDS, deadline - time.monotonic())
            known.add(_measure(graph, architecture, size, costs, plan, left))
        except TooSlowError:
            note(f"{architecture} takes too long to be measured: its figures are scaled")
        except MeasurementError as error:
            known.failed[architecture] = str(error)
            note(f"{architecture} could not be measured: {error}")
        save(known, plan.cache_dir)
    return known


def ask(request: Mapping[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
    """Has a measurement made in a process of its own; see `tagkin.recommending.child`.

    Args:
        request: What to measure.
        timeout: Seconds.

    Raises:
        MeasurementError: It failed, was killed, or took too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tagkin.recommending.child"],
            input=json.dumps(dict(request)),
            capture_output=True,
            text=True,
            timeout=timeout if timeout and timeout < 1e6 else None,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(f"it took longer than {error.timeout:.0f} seconds") from None
    except OSError as error:  # such as no memory to start a process
        raise MeasurementError(f"no process could be started: {error}") from error
    if done.returncode:
        raise MeasurementError(_why(done))
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise MeasurementError("it gave no answer") from None
    return answer


def _why(done: "subprocess.CompletedProcess[str]") -> str:
    told = [line for line in done.stderr.splitlines() if line.strip()]
    last = told[-1] if told else "it said nothing"
    out_of_memory = ("MemoryError", "bad_alloc", "Cannot allocate", "can't start new thread")
    if done.returncode == -9 or any(sign in done.stderr for sign in out_of_memory):
        return "it ran out of memory"
    return last.removeprefix("tagkin.errors.")[:200]


def _jobs(plan: Plan, graphs: Mapping[str, Mapping[int, Path]]) -> Iterator[tuple[str, int]]:
    """Yields backbones and sizes: what has a graph first, then what takes least to export."""
    table = shipped_ratios().backbones

    def cost(name: str) -> tuple[bool, float]:
        return not graphs[name], table[name].export_seconds or 0.0

    for name in sorted(plan.architectures, key=cost):
        own = BACKBONES[name].image_size
        yield name, own
        if plan.full and BACKBONES[name].builder != "vit":  # which takes one size only
            yield from ((name, size) for size in FULL_SIZES if size != own)


def _graph(
    architecture: str, size: int, costs: CostModel, plan: Plan, left: float, note: Note
) -> Path | None:
    """Returns a graph, exported with random weights if there is time and memory; else None."""
    found = exported_sizes(architecture, plan.cache_dir)
    if found:
        return found.get(size) or found[min(found, key=lambda known: abs(known - size))]
    row = shipped_ratios().backbones[architecture]
    seconds = row.export_seconds or 0.0
    if seconds + 2 * _STARTING_SECONDS > left:
        note(f"no time is left to export {architecture}: its figures are scaled")
        return None
    if row.export and row.export > costs.machine.available:
        note(f"there is too little memory to export {architecture}: its figures are scaled")
        return None
    note(f"exporting {architecture} with random weights, once: some {seconds:.0f} s")
    weights = "imagenet" if architecture == OFFLINE_BACKBONE else "random"
    request = {"part": "export", "architecture": architecture, "image_size": size}
    more = {"weights": weights, "precision": "f32", "cache_dir": str(plan.cache_dir)}
    ask({**request, **more}, timeout=left)
    return exported_sizes(architecture, plan.cache_dir).get(size)


def _measure(
    graph: Path, architecture: str, size: int, costs: CostModel, plan: Plan, timeout: float
) -> Measurement:
    answer = ask(
        {
            "part": "embed",
            "graph": str(graph),
            "architecture": architecture,
            "image_size": size,
            "precision": costs.precision,
            "batch": 1,
            "seconds": _RUN_SECONDS,
            "files": [str(file) for file in plan.files],
        },
        timeout=timeout,
    )
    return Measurement(
        architecture=architecture,
        image_size=size,
        precision=costs.precision,
        images_per_second=answer["images_per_second"],
        in_memory=answer["in_memory"],
        decode_seconds=answer["decode_seconds"],
        resident=answer["resident"],
        addresses=answer["addresses"],
        requests=answer["requests"],
        images=answer["images"],
        ulimit=costs.machine.addresses,
    )
