"""``tagkin check``."""

from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from tagkin.checking import CheckReport, Finding
    from tagkin.cli.session import Output

NAME = "check"


def command(
    library: LibraryOption = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Mend what can be mended. What can't be read is put aside in the library's folder "
            "'damaged', or removed if it can be made again; images are never touched.",
        ),
    ] = False,
    content: Annotated[
        bool,
        typer.Option(
            "--hash",
            help="Read all image files and compare their content, not only their size and time.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Look whether a library is whole, and mend it. Exit code 1 if something is left to be done."""
    from tagkin.checking import check_library
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session

    output = Output(json)
    session = Session(library, output=output)
    with ProgressBars(output.notes) as progress:
        report = check_library(session.settings, repair=repair, content=content, progress=progress)
    if json:
        output.json(report.to_dict())
    else:
        print_report(output, report)
    if not report.clean:
        raise typer.Exit(1)


def print_report(output: "Output", report: "CheckReport") -> None:
    """Prints what was found as a table, and what to do about it below."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.files import printable

    counted = ", ".join(f"{count:,} {what}" for what, count in report.checked.items())
    output.print(f"checked {counted} in {report.seconds:.1f} s", markup=False)
    for level, title in (
        ("damage", "Damage"),
        ("change", "Files that changed"),
        ("leftover", "Left by killed runs"),
        ("note", "For your information"),
    ):
        found = [finding for finding in report.findings if finding.level == level]
        if not found:
            continue
        listing = table(
            "where",
            "what",
            "count",
            "what to do" if level == "note" else "done or to do",
            title=title,
            right=[2],
        )
        for finding in found:
            listing.add_row(
                escape(_short(finding, report)),
                escape(printable(finding.what)),
                f"{finding.count:,}",
                escape(printable(finding.repaired or finding.advice)),
            )
        output.print(listing)
        for finding in found:
            if finding.examples and level != "note":
                some = ", ".join(printable(one) for one in finding.examples[:3])
                dots = " ..." if finding.count > 3 else ""
                output.print(f"  {finding.what}: {some}{dots}", markup=False)
    todo = sum(finding.open for finding in report.findings)
    mended = sum(finding.repaired is not None for finding in report.findings)
    if mended:
        output.print(f"mended: [bold]{mended}[/]")
    if not todo:
        output.print(
            "[bold]nothing is wrong[/]" if not mended else "[bold]nothing else is wrong[/]"
        )
    else:
        output.print(f"to be done: [bold]{todo}[/]")


def _short(finding: "Finding", report: "CheckReport") -> str:
    from tagkin.files import printable

    inside = finding.where.is_relative_to(report.library)
    return printable(finding.where.relative_to(report.library) if inside else finding.where)
