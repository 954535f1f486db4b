"""Which backbone to take: the best that fits, and why, in a sentence."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import log2
from typing import Any, Literal

from tagkin.backbones.catalogue import BACKBONES, BackboneSpec
from tagkin.quantities import format_bytes, format_seconds
from tagkin.recommending.costs import TUNE_BATCHES, CostModel, Source
from tagkin.settings import Settings
from tagkin.training.recipe import Recipe

Goal = Literal["accuracy", "speed", "balanced"]

#: Points of accuracy that each doubling of the time has to bring, and the seconds that cost
#: nothing, since nobody waits for them.
_PRICES: dict[Goal, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "balanced": (1.0, 600.0),
    "speed": (3.0, 60.0),
}
# Of what is free, so that a prediction may be a little off.
_MARGIN = 1.1


@dataclass(frozen=True)
class Probed:
    """What a backbone is worth on the owner's own images, in 0..1; see `probing`.

    Attributes:
        map: Mean average precision of a linear head on images that it did not learn from.
        neighbour_precision: Share of the nearest images' tags that the image has as well.
        images: Of the sample.
    """

    map: float
    neighbour_precision: float
    images: int


@dataclass(frozen=True)
class Wish:
    """What the owner has and wants.

    Attributes:
        images: Of the collection.
        goal: What counts.
        budget: Most seconds for embedding and phase 1; None if that doesn't matter.
        architectures: Backbones to choose from.
    """

    images: int
    goal: Goal = "balanced"
    budget: float | None = None
    architectures: Sequence[str] = field(default_factory=lambda: list(BACKBONES))


@dataclass(frozen=True)
class Option:
    """One row of the table: a backbone at an image size, with what it costs and is worth.

    Attributes:
        architecture: Name of the backbone.
        year: Of its paper.
        parameters: In millions.
        image_size: Pixels a side.
        top1: Published ImageNet accuracy in per cent.
        top1_size: Pixels a side that it was published for.
        top1_source: Where.
        precision: Arithmetic on this machine.
        images_per_second: From files.
        source: How the speed is known.
        memory: Peak of ``embed`` in bytes.
        first_memory: Peak of its first run.
        embed_seconds: For all images.
        head_seconds: Of phase 1.
        fine_tune_seconds: Of phase 2 with the published recipe; None where unknown.
        fine_tune_batch: The largest batch up to 16 that fits; None if none does or it is unknown.
        fine_tune_memory: Peak of phase 2 with that batch.
        vector_bytes: Disk for the vectors.
        activation_bytes: Disk while phase 2 runs.
        probed: What it is worth on the owner's images, where that was tried.
        reason_against: Why it can't be taken; empty if it can.
    """

    architecture: str
    year: int
    parameters: float
    image_size: int
    top1: float
    top1_size: int
    top1_source: str
    precision: str
    images_per_second: float
    source: Source
    memory: float
    first_memory: float
    embed_seconds: float
    head_seconds: float
    fine_tune_seconds: float | None
    fine_tune_batch: int | None
    fine_tune_memory: float | None
    vector_bytes: float
    activation_bytes: float | None
    probed: Probed | None
    reason_against: str

    @property
    def seconds(self) -> float:
        """Time until there is a tagger, without phase 2."""
        return self.embed_seconds + self.head_seconds

    @property
    def name(self) -> str:
        """The backbone and its size in words."""
        return f"{self.architecture} at {self.image_size} px"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Advice:
    """The table with the row to take.

    Attributes:
        options: All of them, the cheapest first.
        chosen: The one to take; None if none fits.
        reason: Why, in a sentence.
    """

    options: tuple[Option, ...]
    chosen: Option | None
    reason: str


def advise(
    costs: CostModel,
    wish: Wish,
    *,
    exported: Collection[tuple[str, int]] = (),
    probed: Mapping[tuple[str, int], Probed] | None = None,
) -> Advice:
    """Chooses a backbone for a machine and a collection.

    Args:
        costs: What each costs there.
        wish: What is wanted.
        exported: Backbones and image sizes whose graph is in the cache, so that no export has to
            fit.
        probed: What was tried on the owner's images, by backbone and image size.
    """
    options = [
        _option(costs, wish, BACKBONES[name], size, (name, size) in exported, probed or {})
        for name in wish.architectures
        for size in _sizes(BACKBONES[name])
    ]
    options.sort(key=lambda option: option.embed_seconds)
    fitting = [option for option in options if not option.reason_against]
    if not fitting:
        smallest = min(options, key=lambda option: option.first_memory)
        return Advice(tuple(options), None, _nothing_fits(costs, wish, smallest, options))
    own = all(option.probed for option in fitting)
    best = max(fitting, key=lambda option: (_value(option, wish.goal, own), -option.seconds))
    return Advice(tuple(options), best, _reason(best, fitting, options, costs, wish, own))


def settings_of(option: Option) -> dict[str, str | int]:
    """Returns the settings by which an option is had, as ``tagkin.toml`` holds them."""
    wanted: dict[str, str | int] = {
        "model_architecture": option.architecture,
        "image_size": option.image_size,
    }
    if option.fine_tune_batch:
        wanted["fine_tune_batch_size"] = option.fine_tune_batch
    return wanted


def _sizes(spec: BackboneSpec) -> list[int]:
    """The size that Tagkin uses, and that of the published accuracy where it costs less."""
    sizes = {spec.image_size, min(spec.image_size, spec.top1_size)}
    return sorted(sizes)


def _option(
    costs: CostModel,
    wish: Wish,
    spec: BackboneSpec,
    size: int,
    exported: bool,
    probed: Mapping[tuple[str, int], Probed],
) -> Option:
    name, images = spec.name, wish.images
    rate = costs.rate(name, size)
    memory = costs.embed_memory(name, size)
    first = costs.first_memory(name, size, exported=exported)
    recipe = Recipe.from_settings(Settings.model_construct())
    batch, tune_memory = _tune_batch(costs, name, size)
    embed_seconds = costs.embed_seconds(name, size, images)
    head = costs.head_seconds(images)
    return Option(
        architecture=name,
        year=spec.year,
        parameters=spec.parameters,
        image_size=size,
        top1=spec.top1,
        top1_size=spec.top1_size,
        top1_source=spec.top1_source,
        precision=costs.precision,
        images_per_second=rate.images_per_second,
        source=rate.source,
        memory=memory,
        first_memory=first,
        embed_seconds=embed_seconds,
        head_seconds=head,
        fine_tune_seconds=costs.fine_tune_seconds(name, size, images, recipe.views, recipe.epochs),
        fine_tune_batch=batch,
        fine_tune_memory=tune_memory,
        vector_bytes=costs.vector_bytes(name, images),
        activation_bytes=costs.activation_bytes(name, size, images, recipe.views),
        probed=probed.get((name, size)),
        reason_against=_against(costs, wish, name, size, first, memory, embed_seconds + head),
    )


def _tune_batch(costs: CostModel, name: str, size: int) -> tuple[int | None, float | None]:
    for batch in TUNE_BATCHES:
        peak = costs.fine_tune_memory(name, size, batch)
        if peak is not None and _MARGIN * peak <= costs.machine.available:
            return batch, peak
    return None, None


def _against(
    costs: CostModel,
    wish: Wish,
    name: str,
    size: int,
    first: float,
    memory: float,
    seconds: float,
) -> str:
    machine, images = costs.machine, wish.images
    if name in costs.measured.failed:
        return costs.measured.failed[name]
    if _MARGIN * max(first, memory) > machine.available:
        return f"needs {format_bytes(max(first, memory))} of memory"
    if machine.addresses is not None:
        needed = costs.addresses(name, size, max(first, memory))
        if needed > machine.addresses:
            return f"reserves {format_bytes(needed)} of addresses"
    training = costs.head_memory(images, BACKBONES[name].dimension)
    if training > machine.available:
        return f"phase 1 needs {format_bytes(training)} of memory"
    disk = costs.vector_bytes(name, images)
    if machine.disk_library is not None and disk > machine.disk_library:
        return f"vectors need {format_bytes(disk)} of disk"
    if wish.budget is not None and seconds > wish.budget:
        return f"takes {format_seconds(seconds)}"
    return ""


def _value(option: Option, goal: Goal, own: bool) -> float:
    """Accuracy less the price of the time; the owner's own mAP where every option has one."""
    points, free = _PRICES[goal]
    accuracy = 100 * option.probed.map if own and option.probed else option.top1
    return accuracy - points * log2(max(option.seconds, free) / free)


def _reason(
    best: Option,
    fitting: Sequence[Option],
    options: Sequence[Option],
    costs: CostModel,
    wish: Wish,
    own: bool,
) -> str:
    def worth(option: Option) -> str:
        if own and option.probed:
            return f"mAP {100 * option.probed.map:.1f} on your own images"
        return f"top-1 {option.top1:.1f} as published"

    time = f"{wish.images:,} images take {format_seconds(best.embed_seconds)}"
    fits = (
        f"its peak of {format_bytes(best.first_memory)} in the first run fits into {_room(costs)}"
    )
    within = f" within {format_seconds(wish.budget)}" if wish.budget is not None else ""
    others = [option for option in fitting if option is not best]
    if not others:
        return f"{best.name} is the only one that fits{within}: {time}, and {fits}."
    key = {
        "accuracy": f"has the best accuracy of those that fit{within} ({worth(best)})",
        "speed": f"is the quickest that is accurate enough for its time ({worth(best)})",
        "balanced": f"is the best balance of accuracy ({worth(best)}) and time that fits{within}",
    }[wish.goal]
    return f"{best.name} {key}: {time}, and {fits}{_rival(best, fitting, options)}."


def _rival(best: Option, fitting: Sequence[Option], options: Sequence[Option]) -> str:
    """Says what the next more accurate one would cost, or why it is out."""
    better = [o for o in options if o.top1 > best.top1 and o.architecture != best.architecture]
    if not better:
        return ""
    rival = min(better, key=lambda option: (option not in fitting, option.seconds))
    if rival.reason_against:
        return f"; {rival.name} is out, since it {rival.reason_against}"
    times = rival.seconds / best.seconds
    return f"; {rival.name} would bring {rival.top1 - best.top1:+.1f} points for {times:.1f} times"


def _room(costs: CostModel) -> str:
    machine = costs.machine
    return f"the {format_bytes(machine.available)} that are free"


def _nothing_fits(costs: CostModel, wish: Wish, smallest: Option, options: Sequence[Option]) -> str:
    quickest = min(options, key=lambda option: option.seconds)
    if wish.budget is not None and quickest.reason_against.startswith("takes"):
        return (
            f"no backbone gets through {wish.images:,} images within "
            f"{format_seconds(wish.budget)}: the quickest, {quickest.name}, takes "
            f"{format_seconds(quickest.seconds)}."
        )
    machine = costs.machine
    if machine.addresses is not None and "addresses" in smallest.reason_against:
        return (
            f"no backbone fits into the {format_bytes(machine.addresses)} of addresses that ulimit "
            f"allows, since the smallest, {smallest.name}, {smallest.reason_against}; a control "
            "group limits memory without that."
        )
    return (
        f"no backbone fits into {_room(costs)}: the smallest, {smallest.name}, "
        f"{smallest.reason_against}."
    )
