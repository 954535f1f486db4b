"""``tagkin variants``."""

from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.variants import Proposals

NAME = "variants"


def command(
    library: LibraryOption = None,
    model: ModelOption = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="evidence weighs spelling, pictures and company; dbscan and jarowinkler are "
            "baselines to compare with.",
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
    json: JsonOption = False,
) -> None:
    """Propose groups of tags that mean the same. Changes nothing."""
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
    if json:
        output.json(proposals.to_dict())
    else:
        print_variants(output, proposals)


def print_variants(output: "Output", proposals: "Proposals") -> None:
    """Prints the groups, with the evidence for each pair in words."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.variants import explain

    if not proposals.groups:
        output.print("no tags that mean the same were found")
        return
    between = {frozenset((pair.a, pair.b)): pair for pair in proposals.pairs}
    groups = table("keep", "merge", "tier", "probability", "evidence", title="tag variants")
    for group in proposals.groups:
        for number, member in enumerate(m for m in group.members if m != group.canonical):
            pair = between.get(frozenset((group.canonical, member)))
            sure = f"{pair.probability:.2f}" if pair and pair.probability is not None else ""
            groups.add_row(
                "" if number else escape(f"{group.canonical} ({group.counts[group.canonical]})"),
                escape(f"{member} ({group.counts[member]})"),
                group.tier,
                sure,
                escape(explain(pair)) if pair else "through the others of the group",
            )
    output.print(groups)
