"""``tagkin embed``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import (
    AnywayOption,
    FitOption,
    ImageSizeOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    PrecisionOption,
    ViewsOption,
    WeightsOption,
)
from tagkin.cli.ray_options import AddressOption, EngineOption, WorkersOption, wants_ray

if TYPE_CHECKING:
    from tagkin.distributed import RayEngine
    from tagkin.settings import Settings

NAME = "embed"


def command(
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    image_size: ImageSizeOption = None,
    fit: FitOption = None,
    views: ViewsOption = None,
    precision: PrecisionOption = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="cpu|gpu",
            help="Where the backbone runs: the processor, or an NVIDIA or Intel GPU. "
            "(default: cpu)",
            show_default=False,
        ),
    ] = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    workers: WorkersOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take int8 however many nearest neighbours it changes."),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write embeddings.npy (float32, images x dimension) and image_ids.npy.",
            show_default=False,
        ),
    ] = None,
    anyway: AnywayOption = False,
    json: JsonOption = False,
) -> None:
    """Make one vector per image; goes on where it stopped."""
    from rich.markup import escape

    from tagkin.cli.announce import announce_embedding
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed, export_vectors
    from tagkin.errors import SettingsError
    from tagkin.files import printable
    from tagkin.similarity.vector_index import keep_index

    output = Output(json)
    if fit and views:
        raise SettingsError("--views takes the place of --fit: give one of them")
    options = {
        "model_architecture": model,
        "weights": weights,
        "image_size": image_size,
        "fit": fit,
        "views": () if fit else views,  # those of a tagkin.toml don't outdo the option
        "precision": precision,
        "device": device,
        "engine": engine,
        "ray_address": address,
        "ray_workers": workers,
        "int8_min_overlap": 0.0 if force else None,
    }
    session = Session(library, options, output=output)
    opened = session.open_library()
    with_ray = wants_ray(session.settings, address, workers)
    if not (with_ray and session.settings.ray_address):  # other machines aren't known here
        announce_embedding(session, opened, anyway=anyway)
    config = session.backbone(opened)
    with ProgressBars(output.notes) as progress:
        report = embed(
            opened,
            config,
            session.settings,
            engine=_ray(session.settings) if with_ray else None,
            progress=progress,
        )
        keep_index(opened, config.fingerprint, progress=progress)
    exported = export_vectors(opened, config, export) if export else ()
    if json:
        output.json({**report.to_dict(), "exported": [str(path) for path in exported]})
    rate = f" at {report.added / report.seconds:.1f} images/s" if report.added else ""
    output.print(
        f"[bold]{report.added}[/] vectors made{rate}, {report.already} were there: "
        f"{config.architecture}, {config.dimension} numbers each ({report.fingerprint})"
    )
    for path in exported:
        output.print(f"wrote {escape(printable(path))}")
    if report.problems:
        output.note(f"{len(report.problems)} images could not be read:")
        output.problems(report.problems)


def _ray(settings: "Settings") -> "RayEngine":
    from tagkin.distributed import RayEngine

    return RayEngine(settings.ray_address, settings.ray_workers)
