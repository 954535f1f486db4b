"""``tagkin demo``."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption

if TYPE_CHECKING:
    from tagkin.backbones import BackboneConfig
    from tagkin.cli.session import Output
    from tagkin.library import Library
    from tagkin.records import ImageRow
    from tagkin.settings import Settings
    from tagkin.similarity import SimilarResult
    from tagkin.tagger import Prediction

NAME = "demo"

# What upload software left on every seventh image of the demo collection; it means nothing.
_JUNK_TAGS = ("hash",)
_PREDICTED, _QUERIES, _NEIGHBOURS = 10, 3, 5


def command(
    library: Annotated[
        Path, typer.Option("--library", metavar="DIR", help="Folder of the demo's library.")
    ] = Path("tagkin-demo"),
    json: JsonOption = False,
) -> None:
    """Run everything on the small real collection that comes with Tagkin, offline."""
    from tagkin.backbones import OFFLINE_BACKBONE, cached_graph, resolve_backbone
    from tagkin.cli.prepare import print_prepared
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output
    from tagkin.cli.train import print_scores
    from tagkin.cli.variants import print_variants
    from tagkin.demo import demo_collection
    from tagkin.embeddings import embed
    from tagkin.library import Library
    from tagkin.preparing import prepare
    from tagkin.settings import default_settings, load_settings
    from tagkin.sources import open_source
    from tagkin.tagger import Tagger
    from tagkin.training.train import train
    from tagkin.variants.in_library import find_in_library
    from tagkin.variants.stored import save_proposals

    output = Output(json)
    # The demo shows the same everywhere, whatever the user has configured for a collection of
    # their own; only where it works and with how many threads is theirs to say.
    settings = default_settings(keep=load_settings({"library": library})).model_copy(
        update={
            "model_architecture": OFFLINE_BACKBONE,
            "precision": "f32",
            "exclude_tags": _JUNK_TAGS,
        }
    )
    opened = Library.create_or_open(library)
    config = resolve_backbone(settings)
    with ProgressBars(output.notes) as progress:
        output.note("1/5 prepare: checking images, grouping near-duplicates, counting tags")
        prepared = prepare(opened, open_source(demo_collection()), settings, progress=progress)
        opened.update_state(remembered={"exclude_tags": _JUNK_TAGS})
        output.note("2/5 embed: one vector per image")
        embedded = embed(opened, config, settings, progress=progress)
        output.note("3/5 train: a tagger in the collection's own words")
        graph = cached_graph(config, settings.cache_dir)
        trained = train(opened, config, graph, settings, progress=progress)
        output.note("4/5 predict and similar: images that the tagger has not seen")
        tagger = Tagger.load(opened.taggers_path / trained.tagger)
        shown = _unseen_images(opened)
        predicted = list(tagger.predict([row.paths[0] for row in shown], settings))
        similar = _similar(opened, config, settings, shown[:_QUERIES])
        output.note("5/5 variants: tags that mean the same")
        proposals = find_in_library(opened, config.fingerprint, settings)
        save_proposals(opened, proposals)
    if json:
        output.json(
            {
                "prepare": prepared.to_dict(),
                "embed": embedded.to_dict(),
                "train": trained.to_dict(),
                "predict": [prediction.to_dict() for prediction in predicted],
                "similar": [result.to_dict() for result in similar],
                "variants": proposals.to_dict(),
            }
        )
        return
    output.print()
    print_prepared(output, prepared, library)
    output.print()
    print_scores(output, trained)
    output.print()
    _print_predictions(output, opened, settings, shown, predicted)
    output.print()
    _print_neighbours(output, similar)
    output.print()
    print_variants(output, proposals)
    # From a virtual environment that is not on the path, as after `make demo`.
    tagkin = "tagkin" if shutil.which("tagkin") else sys.argv[0]
    output.print(
        f"\nThe library is in {library}. Look at it in a browser, and merge its first tags:\n"
        f"  {tagkin} serve --library {library}\n"
        f"or go on here, for example:\n"
        f"  {tagkin} similar --tag bird --library {library}\n"
        f"  {tagkin} predict YOUR_IMAGE --library {library}\n"
        f"  {tagkin} variants accept --safe --library {library}\n"
        f"or read your own collection with '{tagkin} prepare FOLDER'.",
        markup=False,
    )


def _unseen_images(library: "Library") -> list["ImageRow"]:
    """Picks ten images of the test split, all of them from different groups."""
    rows = {row.group: row for row in library.images() if row.split == "test" and row.files}
    return sorted(rows.values(), key=lambda row: row.id)[:_PREDICTED]


def _similar(
    library: "Library", config: "BackboneConfig", settings: "Settings", rows: list["ImageRow"]
) -> list["SimilarResult"]:
    from tagkin.similarity import Collection, Searcher

    searcher = Searcher.open(library, config.fingerprint, Collection.open(library, settings))
    return [searcher.by_images([row.id], limit=_NEIGHBOURS) for row in rows]


def _print_predictions(
    output: "Output",
    library: "Library",
    settings: "Settings",
    rows: list["ImageRow"],
    predicted: list["Prediction"],
) -> None:
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.vocabulary import TagRules

    rules = TagRules.from_settings(settings, library.decisions())
    shown = table("image", "predicted (probability)", "users' tags", title="unseen images")
    for row, prediction in zip(rows, predicted, strict=True):
        real = rules.wanted(row.tags)
        tags = [
            f"[green]{escape(t.tag)}[/] {t.score:.2f}"
            if t.tag in real
            else f"{escape(t.tag)} {t.score:.2f}"
            for t in prediction.tags
        ]
        shown.add_row(escape(row.paths[0].stem), ", ".join(tags), escape(", ".join(real)))
    output.print(shown)


def _print_neighbours(output: "Output", results: list["SimilarResult"]) -> None:
    from rich.markup import escape

    from tagkin.cli.session import table

    shown = table(
        "image", "nearest images (cosine)", "tags that go with it", title="similar images"
    )
    for result in results:
        near = "\n".join(f"{i.paths[0].stem} ({i.score:.2f})" for i in result.images)
        tags = ", ".join(score.tag for score in result.tags[:6])
        shown.add_row(escape(Path(result.query).stem), escape(near), escape(tags), end_section=True)
    output.print(shown)
