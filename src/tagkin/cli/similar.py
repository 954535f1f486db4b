"""``tagkin similar``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.similarity import SimilarResult

NAME = "similar"


def command(
    path: Annotated[Path | None, typer.Argument(help="An image file.", show_default=False)] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Start from a tag instead.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Number of images.")] = 10,
    json: JsonOption = False,
) -> None:
    """Find the nearest images to an image or a tag, and the tags that go with them."""
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed, embed_file
    from tagkin.errors import TagkinError
    from tagkin.similarity import SimilarityIndex
    from tagkin.vocabulary import TagRules

    if (path is None) == (tag is None):
        raise TagkinError("name either an image file or --tag TAG")
    output = Output(json)
    session = Session(library, {"model_architecture": model}, output=output)
    opened = session.open_library()
    config = session.backbone(opened)
    query = embed_file(path, config, session.settings) if path else None
    with ProgressBars(output.notes) as progress:
        output.problems(embed(opened, config, session.settings, progress=progress).problems)
    rules = TagRules.from_settings(session.settings, opened.decisions())
    index = SimilarityIndex.open(opened, config.fingerprint, rules)
    if query is not None:
        image, vector = query
        result = index.similar_to_vector(vector, str(path), limit=limit, exclude=[image])
    else:
        result = index.similar_to_tag(tag or "", limit=limit)
    if json:
        output.json(result.to_dict())
    else:
        print_similar(output, result)


def print_similar(output: "Output", result: "SimilarResult") -> None:
    """Prints the nearest images and the tags as tables."""
    from rich.markup import escape

    from tagkin.cli.session import printable, table

    if not result.images:
        output.print("the library holds no other image")
        return
    nearest = table("cosine", "image", "tags", title=f"nearest to {escape(result.query)}")
    for image in result.images:
        tags = escape(", ".join(image.tags))
        nearest.add_row(f"{image.score:.3f}", escape(printable(image.paths[0].name)), tags)
    output.print(nearest)
    for title, scores in (
        ("tags that these images carry", result.tags),
        ("nearest tags", result.nearest_tags),
    ):
        if scores:
            listed = ", ".join(f"{s.tag} {s.score:.2f}" for s in scores[:12])
            output.print(f"[bold]{title}:[/] {escape(listed)}")
