"""``tagkin duplicates``."""

from pathlib import Path
from typing import Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption

NAME = "duplicates"

_MOST_PRINTED = 50  # groups; all are in the JSON and the CSV


def command(
    distance: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=15,
            metavar="BITS",
            help="Bits of the 64-bit perceptual hash in which near-duplicates may differ. "
            "(default: the groups that prepare made)",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a table with a row for each file.",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """List images that look nearly the same, and which of them to keep; deletes nothing."""
    from rich.markup import escape

    from tagkin.cli.session import Output, Session, table
    from tagkin.duplicates import duplicate_groups
    from tagkin.files import printable
    from tagkin.writers.duplicates import write_duplicates

    output = Output(json)
    session = Session(library, output=output)
    opened = session.open_library()
    groups = list(duplicate_groups(opened, distance))
    if csv is not None:
        write_duplicates(groups, csv)
    if json:
        output.json({"groups": [group.to_dict() for group in groups]})
        return
    surplus = sum(len(group.images) - 1 for group in groups)
    if not groups:
        output.print("no near-duplicates")
        return
    shown = table("keep", "because", "others", title="near-duplicates")
    for group in groups[:_MOST_PRINTED]:
        best, *others = group.images
        named = "\n".join(f"{printable(row.paths[0])} {row.width} x {row.height}" for row in others)
        keep = f"{printable(best.paths[0])} {best.width} x {best.height}"
        shown.add_row(escape(keep), group.reason, escape(named), end_section=True)
    output.print(shown)
    rest = len(groups) - _MOST_PRINTED
    if rest > 0:
        output.print(f"... and {rest} more groups, all of them with --json or --csv")
    output.print(f"{len(groups)} groups; {surplus} images beside the ones to keep")
    if csv is not None:
        output.print(f"wrote {escape(printable(csv))}")
