"""``tagkin train``."""

from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.training.train import TrainReport

NAME = "train"


def command(
    library: LibraryOption = None,
    model: ModelOption = None,
    min_tag_occurrences: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Leave out tags on fewer images. (default: as prepared, else 10)",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of training. (default: 0)", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train a tagger on the vectors: dropout and a dense sigmoid layer, the best epoch kept."""
    from tagkin.backbones import cached_graph
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed
    from tagkin.training.train import train

    output = Output(json)
    options = {
        "model_architecture": model,
        "min_tag_occurrences": min_tag_occurrences,
        "seed": seed,
    }
    session = Session(library, options, output=output)
    opened = session.open_library()
    config = session.backbone(opened)
    with ProgressBars(output.notes) as progress:
        embedded = embed(opened, config, session.settings, progress=progress)
        output.problems(embedded.problems)
        graph = cached_graph(config, session.settings.cache_dir)
        report = train(opened, config, graph, session.settings, progress=progress)
    if json:
        output.json(report.to_dict())
    else:
        print_scores(output, report)


def print_scores(output: "Output", report: "TrainReport") -> None:
    """Prints the scores of a tagger as a table."""
    from tagkin.cli.session import table

    output.print(
        f"tagger [bold]{report.tagger}[/]: {report.tags} tags, learned from "
        f"{report.images['train']} images in {report.seconds:.1f} s "
        f"(epoch {report.best_epoch} of {report.epochs} kept)"
    )
    scores = table("split", "images", "tags", "mAP", "micro F1", "macro F1", right=range(1, 6))
    for name, score in (("validation", report.validation), ("test", report.test)):
        if score is not None:
            figures = (score.map, score.micro_f1, score.macro_f1)
            scores.add_row(
                name, str(score.images), str(score.tags), *(f"{100 * f:.1f}" for f in figures)
            )
    output.print(scores)
    if report.few_training_images:
        few = ", ".join(report.few_training_images[:10])
        output.note(f"tags with fewer than 5 images to train on: {few}")
