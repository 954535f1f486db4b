"""``tagkin variants export`` and ``import``."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption
from tagkin.cli.variants.common import Desk

if TYPE_CHECKING:
    from tagkin.decisions import Link
    from tagkin.writers import Format

FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="csv|danbooru|hydrus|hydrus-parents",
        help="csv keeps everything; danbooru: merges and implications as lines of a bulk update "
        "request; hydrus: merges as pairs of siblings; hydrus-parents: implications.",
    ),
]


def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    form: FormatOption = "csv",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Write the decisions in force to a file for other programs."""
    from tagkin.decisions import links
    from tagkin.errors import ExchangeError
    from tagkin.files import atomic_file, printable
    from tagkin.writers import format_named

    chosen = format_named(form)
    desk = Desk(ctx, library, json)
    every = links(desk.library.decisions())
    kept = [link for link in every if link.kind in chosen.kinds]
    text = chosen.write(kept)
    if file.exists() and not force:
        raise ExchangeError(f"{printable(file)} exists: name another file, or pass --force")
    try:
        with atomic_file(file) as temporary:
            temporary.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise ExchangeError(f"can't write {printable(file)}: {error}") from error
    left_out: Counter[str] = Counter(link.kind for link in every if link.kind not in chosen.kinds)
    if json or desk.output.as_json:
        desk.output.json({"file": str(file), "written": len(kept), "left_out": left_out})
        return
    desk.output.print(f"wrote {len(kept)} pairs of tags to {printable(file)}", markup=False)
    _note_limits(desk, chosen, kept, left_out)


def _note_limits(
    desk: Desk, chosen: "Format", kept: Sequence["Link"], left_out: Counter[str]
) -> None:
    from tagkin.writers.danbooru import MOST_LINES

    if left_out:
        told = ", ".join(f"{count} of kind {kind}" for kind, count in left_out.items())
        desk.output.note(f"note: {chosen.name} has no words for {told}; csv keeps them")
    if chosen.name == "danbooru" and len(kept) > MOST_LINES:
        desk.output.note(f"note: Danbooru takes {MOST_LINES} lines in one request: split the file")


def import_decisions(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to read.")],
    form: FormatOption = "csv",
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Take the decisions in a file, all or none; what is decided already is skipped."""
    from tagkin.errors import ExchangeError
    from tagkin.files import printable
    from tagkin.writers import format_named

    chosen = format_named(form)
    desk = Desk(ctx, library, json)
    decisions = desk.decisions()
    try:
        # Not read_text, which would turn every line break in a tag into a newline.
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExchangeError(f"can't read {printable(file)} as UTF-8 text: {error}") from error
    known = set(map(decisions.rules.fold, desk.library.tag_counts()))
    try:
        decided = decisions.import_links(chosen.read(text, known))
    except ExchangeError as error:
        raise ExchangeError(f"{printable(file)}: {error}") from error
    desk.tell(decided, "nothing new in the file")


COMMANDS: dict[str, Callable[..., None]] = {"export": export, "import": import_decisions}
