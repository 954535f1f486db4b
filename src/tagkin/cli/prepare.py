"""``tagkin prepare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.preparing import PrepareReport

NAME = "prepare"


def command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of images with tags in text files beside them (img.txt or img.jpg.txt), "
            "or a table (CSV, TSV, Parquet) with the columns 'file' and 'tags'."
        ),
    ],
    library: LibraryOption = None,
    min_tag_occurrences: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Leave out tags on fewer images. (default: 10)",
            show_default=False,
        ),
    ] = None,
    exclude_tags: Annotated[
        str | None,
        typer.Option(
            metavar="TAG,TAG", help="Tags to leave out: repost, meta tags ...", show_default=False
        ),
    ] = None,
    aliases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with the columns 'alias' and 'canonical': tags to rename.",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What separates the tags in a table's cell. (default: detected)",
            show_default=False,
        ),
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let a table name files outside its folder.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of the split. (default: 0)", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read images and tags into a library: check, group near-duplicates, split, count tags."""
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import REMEMBERED_OPTIONS, Output, Session
    from tagkin.errors import SourceError
    from tagkin.library import Library
    from tagkin.preparing import prepare
    from tagkin.sources import open_source
    from tagkin.vocabulary import read_aliases

    output = Output(json)
    options = {
        "min_tag_occurrences": min_tag_occurrences,
        "exclude_tags": exclude_tags,
        "aliases": read_aliases(aliases) if aliases else None,
        "seed": seed,
    }
    session = Session(library, options, output=output)
    opened = open_source(source, separator=separator, allow_outside=allow_outside)
    target = Library.create_or_open(session.settings.library)
    with ProgressBars(output.notes) as progress:
        report = prepare(target, opened, session.settings, progress=progress)
    if not report.images and not report.problems:
        raise SourceError(
            f"no image was found in {source}: name the folder that holds them, or a table whose "
            "'file' column does"
        )
    said = {name: getattr(session.settings, name) for name in REMEMBERED_OPTIONS}
    target.update_state(remembered={k: v for k, v in said.items() if k in session.options})
    if json:
        output.json({"library": str(target.path), **report.to_dict()})
    else:
        print_prepared(output, report, target.path)
    if report.problems:
        output.note(f"{len(report.problems)} problems (everything else was kept):")
        output.problems(report.problems)


def print_prepared(output: "Output", report: "PrepareReport", path: Path) -> None:
    """Prints what a library holds."""
    from rich.markup import escape

    from tagkin.cli.session import printable

    vocabulary = report.vocabulary
    output.print(
        f"[bold]{report.images}[/] images in {escape(printable(path))} ({report.new_images} new, "
        f"{report.duplicate_files} duplicate files, {report.untagged_images} without tags, "
        f"{report.near_duplicate_groups} groups of near-duplicates)"
    )
    output.print(", ".join(f"{name} {count}" for name, count in report.splits.items()))
    most = ", ".join(f"{tag} {n}" for tag, n in list(vocabulary.counts.items())[:8])
    dots = " ..." if len(vocabulary.tags) > 8 else ""
    output.print(
        f"[bold]{len(vocabulary.tags)}[/] tags kept{f' ({escape(most)}{dots})' if most else ''}; "
        f"{len(vocabulary.too_rare)} too rare, {len(vocabulary.excluded)} excluded"
    )
