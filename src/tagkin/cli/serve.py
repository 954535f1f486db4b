"""``tagkin serve``."""

from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.library import Library

NAME = "serve"


def command(
    library: LibraryOption = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 for all, which needs --token. (default: 127.0.0.1)",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Port to listen on; 0 for any that is free. (default: 8756)",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            help="Ask everybody for this secret of 12 characters or more; TAGKIN_SERVE_TOKEN keeps "
            "it out of the list of processes.",
            show_default=False,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name by which browsers may call the server; can be repeated.",
            show_default=False,
        ),
    ] = None,
    browse: Annotated[
        bool, typer.Option("--open", help="Open the pages in the browser of this machine.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Search, tag and review merges in a browser, and over REST, until Ctrl+C."""
    from tagkin.cli.session import Output, Session
    from tagkin.files import printable
    from tagkin.web.server import Address, check_address, run

    output = Output(json)
    options = {"serve_host": host, "serve_port": port, "serve_token": token}
    session = Session(library, {**options, "serve_allowed_hosts": allowed_host}, output=output)
    opened = session.open_library()
    settings = session.settings
    check_address(settings)

    def ready(address: Address, images: int, problems: tuple[str, ...]) -> None:
        output.note(f"{images:,} images of {printable(opened.path)}")
        for problem in problems:
            output.note(f"note: {problem}")
        if json:
            output.json({"url": address.url, "images": images, "notes": problems})
        output.print(f"open {address.url} in a browser; Ctrl+C stops the server", markup=False)
        if browse:
            typer.launch(address.url)

    _keep_index(opened, output)
    output.note("reading the library ...")
    run(opened.path, settings, ready)


def _keep_index(library: "Library", output: "Output") -> None:
    """Makes the search index if it is missing or old; without one, searches are slower only."""
    from tagkin.backbones import BackboneConfig
    from tagkin.cli.progress import ProgressBars
    from tagkin.errors import LibraryError
    from tagkin.similarity.vector_index import keep_index

    active = library.state.active_backbone
    if not active:
        return
    try:
        with ProgressBars(output.notes) as progress:
            keep_index(library, BackboneConfig.from_dict(active).fingerprint, progress=progress)
    except LibraryError as error:
        output.note(f"note: {error}")
