"""What a job will take, said before it starts; one that can't fit is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagkin.backbones.catalogue import BACKBONES
from tagkin.errors import ResourceError
from tagkin.machine import Machine
from tagkin.quantities import format_bytes, format_seconds
from tagkin.recommending.costs import TUNE_BATCHES, CostModel, Source
from tagkin.recommending.stored import load_measurements

#: Shorter jobs aren't worth a line.
WORTH_SECONDS = 60.0

# Predictions may be this much too high and the job still fit.
_BENEFIT_OF_DOUBT = 0.9

_HOW: dict[Source, str] = {
    "measured": "as measured on this machine",
    "other size": "as measured on this machine at another image size",
    "ratios": "estimated from a measurement of this machine",
    "guess": "estimated; 'tagkin recommend' measures this machine",
}


@dataclass(frozen=True)
class Job:
    """A job with what it will take.

    Attributes:
        what: In words.
        seconds: Its time; None where unknown.
        memory: Its peak in bytes; None where unknown.
        disk: Bytes that it writes into the library.
        source: How the speed is known.
        instead: What would fit in its place, in words; empty if nothing would.
    """

    what: str
    seconds: float | None
    memory: float | None
    disk: float
    source: Source
    instead: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        parts = [f"about {format_seconds(self.seconds)}"] if self.seconds else []
        if self.memory:
            parts.append(f"{format_bytes(self.memory)} of memory")
        parts.append(f"{format_bytes(self.disk)} of disk")
        return f"{self.what}: {', '.join(parts)} ({_HOW[self.source]})"


def costs_here(library: Path, cache_dir: Path) -> CostModel:
    """Returns the costs on this machine from what was measured before; nothing is run."""
    return CostModel(Machine.here(library, cache_dir), load_measurements(cache_dir))


def embed_job(
    costs: CostModel,
    architecture: str,
    image_size: int,
    images: int,
    views: int,
    *,
    exported: bool = False,
) -> Job | None:
    """Describes embedding so many images; None for a backbone that isn't in the catalogue.

    Args:
        costs: On this machine.
        architecture: Name of the backbone.
        image_size: Pixels a side.
        images: That have no vector yet.
        views: Of each.
        exported: Whether its graph is in the cache.
    """
    if architecture not in costs.ratios.backbones:
        return None
    memory = costs.embed_memory(architecture, image_size)
    if not exported:
        memory = max(memory, costs.ratios.backbones[architecture].export or 0.0)
    return Job(
        f"embedding {images:,} images with {architecture}",
        costs.embed_seconds(architecture, image_size, images, views),
        memory,
        costs.vector_bytes(architecture, images),
        costs.rate(architecture, image_size).source,
        _smaller_backbones(costs),
    )


def fine_tune_job(
    costs: CostModel,
    architecture: str,
    image_size: int,
    images: int,
    *,
    batch: int,
    views: int,
    epochs: int,
) -> Job | None:
    """Describes phase 2; None for a backbone of which nothing is known.

    Args:
        costs: On this machine.
        architecture: Name of the backbone.
        image_size: Pixels a side.
        images: That are learned from.
        batch: Images in a step.
        views: Of each image.
        epochs: Of training.
    """
    if architecture not in costs.ratios.backbones:
        return None
    disk = costs.activation_bytes(architecture, image_size, images, views)
    smaller = [
        number
        for number in TUNE_BATCHES
        if number < batch
        and (peak := costs.fine_tune_memory(architecture, image_size, number)) is not None
        and peak <= _room(costs.machine)
    ]
    return Job(
        f"fine-tuning {architecture} on {images:,} images",
        costs.fine_tune_seconds(architecture, image_size, images, views, epochs),
        costs.fine_tune_memory(architecture, image_size, batch),
        disk or 0.0,
        costs.rate(architecture, image_size).source,
        f"fine_tune_batch_size = {smaller[0]} in tagkin.toml" if smaller else "",
    )


def refuse_what_cannot_fit(job: Job, machine: Machine) -> None:
    """Raises if a job clearly needs more memory or disk than the machine has.

    What is free right now doesn't count, since other programs may end; the limits do.

    Raises:
        ResourceError: It can't fit; the message says what would.
    """
    room = _room(machine)
    memory = (job.memory or 0.0) * _BENEFIT_OF_DOUBT
    if memory > room:
        instead = f"; what fits: {job.instead}" if job.instead else ""
        raise ResourceError(
            f"{job.what} takes some {format_bytes(job.memory or 0)} of memory, and "
            f"{format_bytes(room)} can be used{instead}. 'tagkin recommend' shows what each "
            "backbone takes; --anyway tries it all the same"
        )
    disk = machine.disk_library
    if disk is not None and job.disk * _BENEFIT_OF_DOUBT > disk:
        raise ResourceError(
            f"{job.what} takes {format_bytes(job.disk)} of disk, and {format_bytes(disk)} are free "
            "where the library is: free some, or keep the library elsewhere (--library); --anyway "
            "tries it all the same"
        )


def short_of_memory(job: Job, machine: Machine) -> bool:
    """Returns whether a job needs more than is free right now."""
    return (job.memory or 0.0) > machine.available


def _room(machine: Machine) -> float:
    """Returns the bytes that can be used at most; a limit of addresses is one of memory too."""
    return min(machine.memory, machine.addresses or machine.memory)


def _smaller_backbones(costs: CostModel) -> str:
    """Names the backbones that fit, the most accurate first."""
    fitting: Sequence[str] = [
        spec.name
        for spec in sorted(BACKBONES.values(), key=lambda spec: -spec.top1)
        if costs.first_memory(spec.name, spec.image_size, exported=False) <= _room(costs.machine)
    ]
    return ", ".join(f"--model {name}" for name in fitting[:3])
