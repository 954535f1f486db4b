"""``tagkin thumbnails``."""

from typing import Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption
from tagkin.cli.ray_options import AddressOption, EngineOption, WorkersOption, wants_ray

NAME = "thumbnails"


def command(
    height: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PIXELS",
            help="Height, 96, 160, 240, 320, 480 or 640; can be given several times. (default: "
            "240, as in the grids of serve)",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Make the thumbnails ahead that serve shows; goes on where it stopped."""
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.errors import SettingsError
    from tagkin.thumbnails import HEIGHTS, USUAL_HEIGHT
    from tagkin.thumbnails_ahead import make_thumbnails

    output = Output(json)
    heights = tuple(dict.fromkeys(height or [USUAL_HEIGHT]))
    if unknown := [str(one) for one in heights if one not in HEIGHTS]:
        known = ", ".join(map(str, HEIGHTS))
        raise SettingsError(f"serve shows no thumbnails of height {unknown[0]}; it knows {known}")
    options = {
        "engine": engine,
        "ray_address": address,
        "ray_workers": workers,
    }
    session = Session(library, options, output=output)
    opened = session.open_library()
    maker = None
    if wants_ray(session.settings, address, workers):
        from tagkin.distributed import RayThumbnails

        maker = RayThumbnails(session.settings.ray_address, session.settings.ray_workers)
    with ProgressBars(output.notes) as progress:
        report = make_thumbnails(opened, session.settings, heights, maker=maker, progress=progress)
    if json:
        output.json(report.to_dict())
    rate = f" at {report.added / report.seconds:.1f} images/s" if report.added else ""
    output.print(
        f"thumbnails of [bold]{report.added}[/] images made{rate}, {report.already} were there"
    )
    if report.problems:
        output.note(f"{len(report.problems)} images could not be read:")
        output.problems(report.problems)
