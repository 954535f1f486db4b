"""``tagkin recommend``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output, Session
    from tagkin.library import Library
    from tagkin.machine import Machine
    from tagkin.recommending.advice import Advice, Probed
    from tagkin.recommending.applying import Change
    from tagkin.recommending.costs import CostModel
    from tagkin.settings import Settings

NAME = "recommend"

_IMAGES = 10_000  # of a collection that isn't known
_SAMPLE_FILES = 32


def command(
    library: LibraryOption = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10**10,
            help="Images of the collection. (default: those of the library, else 10,000)",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Most time for embedding and phase 1, such as 8h. (default: any)",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Most memory to use, such as 16G. (default: what is free)",
            show_default=False,
        ),
    ] = None,
    goal: Annotated[
        str,
        typer.Option(
            metavar="accuracy|speed|balanced",
            help="What counts. (default: balanced)",
            show_default=False,
        ),
    ] = "balanced",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Seconds instead of a minute: scale a shipped table."),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Measure every image size, however long it takes.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what is known.")] = False,
    assume: Annotated[
        str | None,
        typer.Option(
            metavar="MACHINE",
            help="Advise for another machine, such as '64 GiB, 32 threads, no GPU'.",
            show_default=False,
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is published of a graphics card, such as 'RTX 4090'.",
            show_default=False,
        ),
    ] = None,
    probe: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=60,
            max=20_000,
            help="Try the backbones whose weights are here on N images of the library.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the advice into tagkin.toml.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say which backbone, image size and batch suit this machine and collection, and the time."""
    from typing import get_args

    from tagkin.cli import recommend_tables as tables
    from tagkin.cli.session import Output, Session
    from tagkin.errors import SettingsError
    from tagkin.quantities import parse_bytes, parse_seconds
    from tagkin.recommending.advice import Goal, Wish, advise

    output = Output(json)
    wanted = next((one for one in get_args(Goal) if one == goal), None)
    if wanted is None:
        raise SettingsError(f"--goal is accuracy, speed or balanced, not {goal!r}")
    for one, other in ((quick, full), (assume, probe), (assume, apply), (assume, full)):
        if one and other:
            raise SettingsError(
                "--quick and --full exclude each other; --assume is about another machine, so "
                "--full, --probe and --apply can't go with it"
            )
    seconds = parse_seconds(budget) if budget else None
    most = parse_bytes(memory) if memory else None
    session = Session(library, output=output)
    opened = _library(session)
    settings = session.settings
    costs = _costs(output, settings, opened, assume, most, quick=quick, full=full, again=again)
    probed = _probe(output, opened, settings, probe) if probe else {}
    count = images or (len(opened.image_ids()) if opened else 0) or _IMAGES
    wish = Wish(count, wanted, seconds)
    graphs = set() if assume else _exported(settings)
    advice = advise(costs, wish, exported=graphs, probed=probed)
    cards = tables.cards(costs.machine, gpu)
    written = _apply(output, advice, opened) if apply else []
    if json:
        output.json(tables.to_dict(costs, wish, advice, cards, written, full=full))
        return
    tables.print_all(output, costs, wish, advice, cards, full=full)
    for change in written:
        before = "" if change.before is None else f" (was {change.before!r})"
        output.print(f"tagkin.toml: {change.name} = {change.after!r}{before}", markup=False)
    if apply and not written:
        output.print("tagkin.toml says so already")


def _library(session: "Session") -> "Library | None":
    """Opens the library if there is one."""
    from tagkin.library_folder import has_library

    if not has_library(session.settings.library):
        return None
    return session.open_library()


def _costs(
    output: "Output",
    settings: "Settings",
    library: "Library | None",
    assume: str | None,
    memory: int | None,
    *,
    quick: bool,
    full: bool,
    again: bool,
) -> "CostModel":
    """Looks at the machine and measures it as far as was asked for."""
    from tagkin.machine import Machine
    from tagkin.recommending.costs import CostModel
    from tagkin.recommending.measuring import Plan, measure, measure_anchor

    if assume:
        return CostModel(_limited(Machine.assume(assume), memory))
    machine = Machine.here(
        library.working_path if library else settings.library, settings.cache_dir, gpus=True
    )
    if quick:
        known = measure_anchor(settings.cache_dir)
    else:
        plan = Plan(settings.cache_dir, _files(library), full=full, again=again)
        known = measure(plan, machine, output.note)
    return CostModel(_limited(machine, memory), known)


def _limited(machine: "Machine", memory: int | None) -> "Machine":
    return machine.with_memory(memory) if memory else machine


def _exported(settings: "Settings") -> set[tuple[str, int]]:
    """Returns the backbones and sizes whose graph, with the published weights, is in the cache."""
    from tagkin.backbones import BACKBONES
    from tagkin.backbones.cache import is_exported
    from tagkin.backbones.config import describe_backbone

    found = set()
    for name, spec in BACKBONES.items():
        for size in {spec.image_size, spec.top1_size}:
            wanted = {"model_architecture": name, "image_size": size, "weights": "imagenet"}
            config = describe_backbone(settings.model_copy(update=wanted))
            if is_exported(config, settings.cache_dir):
                found.add((name, size))
    return found


def _files(library: "Library | None") -> list[Path]:
    """Returns some files of the library, so that decoding is timed on the owner's own."""
    if library is None:
        return []
    ids = library.image_ids()[:_SAMPLE_FILES]
    return [
        row.paths[0] for row in library.iter_images(ids) if row.files and row.paths[0].is_file()
    ]


def _probe(
    output: "Output", library: "Library | None", settings: "Settings", most: int
) -> "dict[tuple[str, int], Probed]":
    from tagkin.cli.progress import ProgressBars
    from tagkin.errors import LibraryError
    from tagkin.recommending.probing import probe

    if library is None:
        raise LibraryError(
            f"there is no library in {settings.library} to probe: run 'tagkin prepare SOURCE' first"
        )
    with ProgressBars(output.notes) as progress:
        return probe(library, settings, most, progress=progress, note=output.note)


def _apply(output: "Output", advice: "Advice", library: "Library | None") -> "list[Change]":
    from tagkin.errors import ResourceError
    from tagkin.recommending.advice import settings_of
    from tagkin.recommending.applying import apply
    from tagkin.settings import CONFIG_FILE

    if advice.chosen is None:
        raise ResourceError(f"nothing was written to {CONFIG_FILE}, since {advice.reason}")
    active = library.state.active_backbone if library else None
    if active and active.get("architecture") != advice.chosen.architecture:
        output.note(
            f"note: the library goes on with {active.get('architecture')} until you run 'tagkin "
            f"embed --model {advice.chosen.architecture}'"
        )
    return apply(Path(CONFIG_FILE), settings_of(advice.chosen))
