"""Options of the commands that can run with Ray."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tagkin.settings import Settings

EngineOption = Annotated[
    str | None,
    typer.Option(
        metavar="local|ray",
        help="One process, or several on this or other machines with Ray, which the extra "
        "'ray' installs. (default: local)",
        show_default=False,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Join this Ray cluster, or 'auto' for the one that this machine belongs to. "
        "(default: Ray is started on this machine)",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Processes that work under Ray. (default: one for every four cores)",
        show_default=False,
    ),
]


def wants_ray(settings: "Settings", address: str | None, workers: int | None) -> bool:
    """Returns whether the settings ask for Ray.

    Raises:
        SettingsError: They don't, and options are for it.
    """
    from tagkin.errors import SettingsError

    if settings.engine != "ray" and (address or workers):
        raise SettingsError("--address and --workers are for --engine ray: add it")
    return settings.engine == "ray"
