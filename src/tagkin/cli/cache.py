"""``tagkin cache``."""

from typing import Annotated

import typer

from tagkin.cli.options import JsonOption

NAME = "cache"


def command(
    entries: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENTRY...", help="Entries to clear.", show_default=False),
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Delete the named entries, or all; they are made again."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """List or clear the exported backbones in the cache folder."""
    from rich.markup import escape

    from tagkin.backbones import clear_cache, list_cache
    from tagkin.cli.session import Output, table
    from tagkin.errors import SettingsError
    from tagkin.files import printable
    from tagkin.settings import load_settings

    output = Output(json)
    folder = load_settings().cache_dir
    if entries and not clear:
        raise SettingsError("name entries together with --clear to delete them")
    found = clear_cache(folder, entries or None) if clear else list_cache(folder)
    total = sum(entry.bytes for entry in found)
    if json:
        output.json(
            {
                "cache_dir": str(folder),
                "bytes": total,
                "cleared" if clear else "entries": [entry.to_dict() for entry in found],
            }
        )
        return
    if found and not clear:
        listing = table("entry", "MB", "made", "state", right=[1])
        for entry in found:
            state = "ok" if entry.whole else "damaged or unfinished: made again when needed"
            made = entry.made[:16].replace("T", " ")
            listing.add_row(escape(entry.key), f"{entry.bytes / 1e6:,.1f}", made, state)
        output.print(listing)
    count = f"cleared [bold]{len(found)}[/]" if clear else f"[bold]{len(found)}[/]"
    output.print(
        f"{count} exported backbones, {total / 1e6:,.1f} MB in {escape(printable(folder))}"
    )
