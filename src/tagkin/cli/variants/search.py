"""``tagkin variants`` without a subcommand: the search."""

from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption
from tagkin.cli.variants.gain import measure, print_gain
from tagkin.cli.variants.show import print_hint, print_relations, print_variants

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.library import Library
    from tagkin.variants import Proposals


def command(
    ctx: typer.Context,
    library: LibraryOption = None,
    model: ModelOption = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="evidence weighs spelling, pictures and company; dbscan, fingerprint and "
            "jarowinkler are baselines to compare with.",
        ),
    ] = "evidence",
    min_images: Annotated[
        int, typer.Option(min=1, metavar="N", help="Look at tags on at least N images.")
    ] = 3,
    eps: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="DISTANCE", help="dbscan: greatest cosine distance of neighbours."
        ),
    ] = 0.3,
    min_samples: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="dbscan: neighbours that make a core, itself included."
        ),
    ] = 2,
    relations: Annotated[
        bool,
        typer.Option(
            "--relations",
            help="Also list tags that imply others, share their images, or are related.",
        ),
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Measure what the accepted merges buy, or the safe groups if none is accepted: "
            "trains heads without and with them.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Propose groups of tags that mean the same, and keep them to decide on. Changes no tag.

    The subcommands decide: tags that start with a dash go behind '--', and what was decided can
    always be undone.
    """
    if ctx.invoked_subcommand is not None:
        _pass_on(ctx)
        return
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed
    from tagkin.variants.in_library import find_in_library

    output = Output(json)
    session = Session(library, {"model_architecture": model}, output=output)
    opened = session.open_library()
    config = session.backbone(opened)
    with ProgressBars(output.notes) as progress:
        output.problems(embed(opened, config, session.settings, progress=progress).problems)
    proposals = find_in_library(
        opened,
        config.fingerprint,
        session.settings,
        method=method,
        min_images=min_images,
        eps=eps,
        min_samples=min_samples,
    )
    kept = _keep(opened, proposals, output)
    measured = None
    if evaluate:
        with ProgressBars(output.notes) as progress:
            measured = measure(opened, config.fingerprint, session, proposals, progress)
    if json:
        gain = {"gain": {"of": measured[0], **measured[1].to_dict()}} if measured else {}
        output.json({**proposals.to_dict(), **gain})
        return
    print_variants(output, proposals)
    if relations:
        print_relations(output, proposals)
    if measured:
        print_gain(output, *measured)
    if kept:
        print_hint(output, proposals, library)


def _keep(library: "Library", proposals: "Proposals", output: "Output") -> bool:
    from tagkin.errors import LibraryError
    from tagkin.variants.stored import save_proposals

    try:
        save_proposals(library, proposals)
    except LibraryError as error:  # as in a library that may only be read
        output.note(f"note: the proposals can't be decided on by their ids: {error}")
        return False
    return True


def _pass_on(ctx: typer.Context) -> None:
    """Hands --library and --json to the subcommand; the other options are the search's alone."""
    from tagkin.errors import SettingsError

    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        if given and parameter.name not in ("library", "json"):
            raise SettingsError(
                f"{parameter.opts[0]} belongs to the search: give it to 'tagkin variants' without "
                f"'{ctx.invoked_subcommand}'"
            )
    ctx.obj = {name: ctx.params[name] for name in ("library", "json")}
