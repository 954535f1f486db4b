"""The tables and the JSON of ``tagkin recommend``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tagkin.cli.session import table
from tagkin.quantities import format_bytes, format_seconds
from tagkin.recommending.gpus import PUBLISHED, PublishedGpu, published_gpu

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.machine import Machine
    from tagkin.recommending.advice import Advice, Option, Wish
    from tagkin.recommending.applying import Change
    from tagkin.recommending.costs import CostModel

_EMBED_BATCHES = (1, 4, 8)
_TUNE_BATCHES = (4, 8, 16, 32)
_FULL_SIZES = (224, 384, 480)


def cards(machine: "Machine", asked: str | None) -> list[PublishedGpu]:
    """Returns the graphics cards to tell of: the one asked for, those of the machine, or all.

    Raises:
        SettingsError: Nothing is published here of the one that was asked for.
    """
    from tagkin.errors import SettingsError

    if asked:
        found = published_gpu(asked)
        if found is None:
            known = ", ".join(card.name for card in PUBLISHED)
            raise SettingsError(f"nothing is known here of the card {asked!r}; choose from {known}")
        return [found]
    own = [card for gpu in machine.gpus if (card := published_gpu(gpu.name))]
    return own or list(PUBLISHED)


def print_all(
    output: "Output",
    costs: "CostModel",
    wish: "Wish",
    advice: "Advice",
    published: Sequence[PublishedGpu],
    *,
    full: bool,
) -> None:
    """Prints the machine, the table with the row to take, the memory table and the notes."""
    output.print(_machine(costs), markup=False)
    output.print(_options(wish, advice))
    output.print(
        f"{'Advice:' if advice.chosen else 'Nothing to advise:'} {advice.reason}", markup=False
    )
    if advice.chosen:
        output.print(_how(advice.chosen), markup=False)
    output.print(_memory(costs, advice, full=full))
    for line in _notes(costs, advice, published):
        output.print(line, markup=False)


def to_dict(
    costs: "CostModel",
    wish: "Wish",
    advice: "Advice",
    published: Sequence[PublishedGpu],
    written: Sequence["Change"],
    *,
    full: bool,
) -> dict[str, Any]:
    """Returns all of it as JSON types."""
    return {
        "machine": {**costs.machine.to_dict(), "precision": costs.precision},
        "images": wish.images,
        "goal": wish.goal,
        "budget_seconds": wish.budget,
        "recommended": advice.chosen.to_dict() if advice.chosen else None,
        "reason": advice.reason,
        "options": [option.to_dict() for option in advice.options],
        "memory": [
            {
                "architecture": name,
                "image_size": size,
                "embed": {str(b): costs.embed_memory(name, size, b) for b in _EMBED_BATCHES},
                "fine_tune": {str(b): costs.fine_tune_memory(name, size, b) for b in _TUNE_BATCHES},
            }
            for name, size in _memory_rows(advice, full)
        ],
        "published_not_measured": [
            {
                "gpu": card.name,
                "source": card.source,
                "images_per_second": [
                    {"architecture": name, "image_size": size, "images_per_second": rate}
                    for (name, size), rate in card.rates.items()
                ],
            }
            for card in published
        ],
        "written": [change.__dict__ for change in written],
    }


def _machine(costs: "CostModel") -> str:
    machine = costs.machine
    sets = ", ".join(machine.instructions) or "no vector instructions that matter"
    cards = ", ".join(gpu.name for gpu in machine.gpus) or "no GPU found"
    if machine.assumed and not machine.gpus:
        cards = "no GPU"
    parts = [
        f"{machine.processor}, {machine.cores} cores ({sets})",
        f"{format_bytes(machine.available)} of {format_bytes(machine.memory)} memory free",
        cards,
        f"runs in {costs.precision}",
    ]
    if machine.addresses is not None:
        parts.insert(2, f"ulimit of {format_bytes(machine.addresses)}")
    if machine.disk_library is not None:
        parts.insert(-2, f"{format_bytes(machine.disk_library)} of disk free")
    return "; ".join(parts)


def _options(wish: "Wish", advice: "Advice") -> Any:
    budget = f", within {format_seconds(wish.budget)}" if wish.budget is not None else ""
    own = any(option.probed for option in advice.options)
    columns = ["model", "year", "params", "top-1", "px", "images/s", "memory"]
    columns += ["embed", "head", "fine-tune"] + (["own mAP / NN"] if own else [])
    against = any(option.reason_against for option in advice.options)
    made = table(
        *(*columns, *(["why not"] if against else [])),
        title=f"{wish.images:,} images, goal {wish.goal}{budget}",
        right=range(1, len(columns)),
    )
    made.columns[0].no_wrap = True
    for option in advice.options:
        chosen = option is advice.chosen
        style = "bold green" if chosen else "dim" if option.reason_against else None
        cells = [*_cells(option), *([_own(option)] if own else [])]
        if against:
            cells.append(option.reason_against)
        cells[0] = f"{'->' if chosen else '  '} {cells[0]}"
        made.add_row(*cells, style=style)
    return made


def _cells(option: "Option") -> list[str]:
    rate = f"{option.images_per_second:.3g}"
    tune = option.fine_tune_seconds
    return [
        option.architecture,
        str(option.year),
        f"{option.parameters:.3g}M",
        f"{option.top1:.1f}" + ("" if option.top1_size == option.image_size else "*"),
        str(option.image_size),
        rate if option.source == "measured" else f"~{rate}",
        format_bytes(option.memory),
        format_seconds(option.embed_seconds),
        f"~{format_seconds(option.head_seconds)}",
        "" if tune is None else f"~{format_seconds(tune)}",
    ]


def _own(option: "Option") -> str:
    if option.probed is None:
        return ""
    return f"{100 * option.probed.map:.1f} / {100 * option.probed.neighbour_precision:.1f}"


def _how(option: "Option") -> str:
    batch = option.fine_tune_batch
    tune = f", fine_tune_batch_size {batch}" if batch else ""
    if batch is None and option.fine_tune_seconds is not None:
        tune = ", without fine-tuning, for which there is too little memory"
    return (
        f"  tagkin embed --model {option.architecture} --image-size {option.image_size}"
        f"   (image_size {option.image_size}, precision {option.precision}{tune})"
    )


def _memory_rows(advice: "Advice", full: bool) -> list[tuple[str, int]]:
    rows = {(option.architecture, option.image_size) for option in advice.options}
    if full:
        sizes = [(name, size) for name, _ in rows for size in _FULL_SIZES if name != "vit-large"]
        rows |= set(sizes)
    order = [option.architecture for option in advice.options]
    return sorted(rows, key=lambda row: (order.index(row[0]), row[1]))


def _memory(costs: "CostModel", advice: "Advice", *, full: bool) -> Any:
    embed = [f"embed {batch}" for batch in _EMBED_BATCHES]
    tune = [f"tune {batch}" for batch in _TUNE_BATCHES]
    made = table(
        *("model", "px", *embed, *tune),
        title="peak memory by images a request (embed) and batch (fine-tune), % of the machine",
        right=range(1, 2 + len(embed) + len(tune)),
    )
    for name, size in _memory_rows(advice, full):
        peaks = [costs.embed_memory(name, size, batch) for batch in _EMBED_BATCHES]
        tunes = [costs.fine_tune_memory(name, size, batch) for batch in _TUNE_BATCHES]
        made.add_row(name, str(size), *(_peak(peak, costs) for peak in (*peaks, *tunes)))
    return made


def _peak(peak: float | None, costs: "CostModel") -> str:
    if peak is None:
        return ""
    share = f"{peak / 2**30:.1f}G {100 * peak / costs.machine.memory:.0f}%"
    return f"[red]{share}[/]" if peak > costs.machine.available else share


def _notes(costs: "CostModel", advice: "Advice", published: Sequence[PublishedGpu]) -> list[str]:
    """Returns what the tables leave open."""
    sources = {option.source for option in advice.options}
    table_of = f"the shipped table ({costs.ratios.machine}, {costs.ratios.made})"
    notes = []
    if "guess" in sources:
        notes.append(
            f"images/s: scaled from {table_of} by cores and instructions; may be off by a factor "
            "of two"
        )
    elif "ratios" in sources:
        notes.append(f"~ images/s: scaled from {table_of} by a measurement of this machine")
    notes.append(
        "top-1: published for ImageNet, * at another image size; head and fine-tune (published "
        "recipe): scaled from the same table; embed peaks of a first run can be higher, since it "
        "exports the graph and tries precision and batch"
    )
    if costs.precision == "f32" and "VNNI" in costs.machine.instructions:
        notes.append(
            "this processor has VNNI: --precision int8 may run large backbones 1.5 to 3 times "
            "faster, see the guide"
        )
    for card in published:
        rates = _published(card, advice)
        if rates:
            notes.append(f"{card.name}, published, not measured here: {rates} [{card.source}]")
    for gpu in costs.machine.gpus:
        if gpu.kind != "described":
            size = f" with {format_bytes(gpu.memory)}" if gpu.memory else ""
            notes.append(
                f"{gpu.name}{size} was found: --device gpu uses it, which isn't in these figures"
            )
    return notes


def _published(card: PublishedGpu, advice: "Advice") -> str:
    known = {(option.architecture, option.image_size): option for option in advice.options}
    return ", ".join(
        f"{option.name} {card.rates[key]:,.0f} images/s "
        f"({card.rates[key] / option.images_per_second:,.0f} times)"
        for key, option in known.items()
        if key in card.rates
    )
