"""``tagkin train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import AnywayOption, JsonOption, LibraryOption, ModelOption

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
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="bce|asl",
            help="Binary cross-entropy, or asymmetric loss. (default: bce)",
            show_default=False,
        ),
    ] = None,
    fine_tune: Annotated[
        bool,
        typer.Option(
            "--fine-tune",
            help="Phase 2: train the last layers of the backbone as well, and keep the better.",
        ),
    ] = False,
    trainable_layers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Layers that --fine-tune trains. (default: the last 50; of vit-large, 4 blocks)",
            show_default=False,
        ),
    ] = None,
    fine_tune_recipe: Annotated[
        str | None,
        typer.Option(
            metavar="published|one-cycle",
            help="How phase 2 goes about it; one-cycle gains more and takes longer. "
            "(default: published)",
            show_default=False,
        ),
    ] = None,
    fine_tune_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Epochs of phase 2. (default: 5; 8 with one-cycle)",
            show_default=False,
        ),
    ] = None,
    fine_tune_learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Learning rate of phase 2 (Adam). (default: 1e-5; 3e-4 with one-cycle)",
            show_default=False,
        ),
    ] = None,
    fine_tune_views: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Views of each training image for phase 2, all but one random crops and flips; "
            "each takes room on disk. (default: 1; 8 with one-cycle)",
            show_default=False,
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write logs for TensorBoard. (default: none)", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of training. (default: 0)", show_default=False),
    ] = None,
    anyway: AnywayOption = False,
    json: JsonOption = False,
) -> None:
    """Train a tagger on the vectors: dropout and a dense sigmoid layer, the best epoch kept."""
    from tagkin.backbones import cached_graph
    from tagkin.cli.announce import announce_embedding, announce_fine_tuning
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed
    from tagkin.training.train import train

    output = Output(json)
    options = {
        "model_architecture": model,
        "min_tag_occurrences": min_tag_occurrences,
        "loss": loss,
        "trainable_layers": trainable_layers,
        "fine_tune_recipe": fine_tune_recipe,
        "fine_tune_epochs": fine_tune_epochs,
        "fine_tune_learning_rate": fine_tune_learning_rate,
        "fine_tune_views": fine_tune_views,
        "tensorboard": tensorboard,
        "seed": seed,
    }
    session = Session(library, options, output=output)
    opened = session.open_library()
    announce_embedding(session, opened, anyway=anyway)
    if fine_tune:
        announce_fine_tuning(session, opened, anyway=anyway)
    config = session.backbone(opened)
    with ProgressBars(output.notes) as progress:
        embedded = embed(opened, config, session.settings, progress=progress)
        output.problems(embedded.problems)
        graph = cached_graph(config, session.settings.cache_dir)
        report = train(
            opened,
            config,
            graph,
            session.settings,
            fine_tune=fine_tune,
            progress=progress,
            note=output.note,
        )
    if json:
        output.json(report.to_dict())
    else:
        print_scores(output, report)


def print_scores(output: "Output", report: "TrainReport") -> None:
    """Prints the scores of a tagger as a table."""
    from tagkin.cli.session import table

    kept = report.kept
    output.print(
        f"tagger [bold]{report.tagger}[/]: {report.tags} tags, learned from "
        f"{report.images['train']} images in {report.seconds:.1f} s "
        f"(epoch {kept.best_epoch} of {kept.history[-1].epoch} kept)"
    )
    columns = ("split", "images", "tags", "mAP", "micro F1", "macro F1", "precision@5", "recall@5")
    scores = table("phase", *columns, right=range(2, 9))
    for phase in report.phases:
        for name, score in phase.scores.items():
            figures = (
                *(score.map, score.micro_f1, score.macro_f1),
                *(score.precision_at_5, score.recall_at_5),
            )
            scores.add_row(
                f"{phase.phase}{' (kept)' if phase is kept and len(report.phases) > 1 else ''}",
                *(name, str(score.images), str(score.tags)),
                *(f"{100 * f:.1f}" for f in figures),
            )
    output.print(scores)
    if report.few_training_images:
        few = ", ".join(report.few_training_images[:10])
        output.note(f"tags with fewer than 5 images to train on: {few}")
    output.print(f"report: {report.page}", markup=False)
