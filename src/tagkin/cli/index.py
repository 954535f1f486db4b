"""``tagkin index``."""

from typing import Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption

NAME = "index"


def command(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Compare the index with looking at every vector, and print its recall; makes "
            "nothing.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make it whether searches need it or not.")
    ] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    json: JsonOption = False,
) -> None:
    """Make the search index anew if that helps; embed and similar do so by themselves."""
    from dataclasses import asdict

    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.quantities import format_bytes, format_seconds
    from tagkin.similarity.approximate import build_index, read_report
    from tagkin.similarity.checking import check_index
    from tagkin.similarity.vector_index import index_need

    output = Output(json)
    session = Session(library, {"model_architecture": model}, output=output)
    opened = session.open_library()
    fingerprint = session.backbone(opened).fingerprint
    need = index_need(opened, fingerprint)
    folder = opened.index_path(fingerprint)
    checked = None
    with ProgressBars(output.notes) as progress:
        if check:
            checked = check_index(opened, fingerprint)
        elif need.wanted or force:
            build_index(opened.stored_vectors(fingerprint), folder, progress=progress)
    report = read_report(folder)
    if json:
        output.json(
            {
                "made": not check and (need.wanted or force),
                "reason": need.reason,
                "index": asdict(report) if report else None,
                "check": asdict(checked) if checked else None,
            }
        )
        return
    output.print(need.reason, markup=False)
    if report is not None:
        output.print(
            f"index of {report.vectors:,} vectors in {report.lists:,} lists, of which a search "
            f"looks into {report.probes}; {format_bytes(report.bytes)}; made in "
            f"{format_seconds(report.seconds)}; recall of the ten nearest {report.recall:.3f}"
        )
    if checked is not None:
        output.print(
            f"checked with {checked.queries} images: recall of the ten nearest "
            f"{checked.recall:.3f}; {checked.milliseconds:.1f} ms a search, and "
            f"{checked.exact_milliseconds:.1f} ms compared with every vector"
        )
