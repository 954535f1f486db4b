"""``tagkin similar``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption
from tagkin.cli.places import place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tagkin.backbones import BackboneConfig
    from tagkin.cli.session import Output, Session
    from tagkin.library import Library
    from tagkin.similarity import Query, Searcher, SimilarResult
    from tagkin.vocabulary import TagRules

NAME = "similar"

_ID = re.compile(r"[0-9a-f]{32}")


def command(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, or ids of the library's images; of several, their mean.",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Start from a tag instead.", show_default=False),
    ] = None,
    learned: Annotated[
        bool,
        typer.Option(
            "--learned",
            help="Start from what the newest tagger has learned of the tag, not from the mean of "
            "its images.",
        ),
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY",
            help="Only images like this: 'cat -dog ~red ~blue folder:2024 date:>=2024-05'.",
            show_default=False,
        ),
    ] = None,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="One image of each group of near-duplicates.")
    ] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Number of images.")
    ] = 10,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a page with thumbnails.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find the nearest images to images or a tag, and the tags that go with them."""
    from rich.markup import escape

    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.embeddings import embed
    from tagkin.errors import TagkinError
    from tagkin.files import printable
    from tagkin.similarity import Collection, Searcher, parse_query
    from tagkin.similarity.vector_index import keep_index

    if bool(images) == (tag is not None):
        raise TagkinError("name either images or --tag TAG")
    if learned and tag is None:
        raise TagkinError("--learned needs --tag TAG")
    query = parse_query(where or "")
    output = Output(json)
    session = Session(library, {"model_architecture": model}, output=output)
    opened = session.open_library()
    config = session.backbone(opened)
    with ProgressBars(output.notes) as progress:
        output.problems(embed(opened, config, session.settings, progress=progress).problems)
        keep_index(opened, config.fingerprint, progress=progress)
    collection = Collection.open(opened, session.settings)
    directions = _learned(opened, config, collection.rules) if learned else None
    searcher = Searcher.open(opened, config.fingerprint, collection, directions)
    if tag is not None:
        result = searcher.by_tag(
            tag,
            limit=limit,
            where=query,
            distinct=distinct,
            use="learned" if learned else "mean",
        )
    else:
        result = _by_images(searcher, session, config, images or [], limit, query, distinct)
    if html is not None:
        _write_page(html, result, session, str(query))
    if json:
        output.json(result.to_dict())
    else:
        print_similar(output, result)
        if html is not None:
            output.print(f"wrote {escape(printable(html))}")


def _by_images(
    searcher: "Searcher",
    session: "Session",
    config: "BackboneConfig",
    names: list[str],
    limit: int,
    where: "Query",
    distinct: bool,
) -> "SimilarResult":
    import numpy as np

    from tagkin.embeddings import embed_file
    from tagkin.unit_vectors import unit

    found = [
        (name, searcher.vector_of(name))
        if _ID.fullmatch(name) and not Path(name).exists()
        else embed_file(place(name), config, session.settings)
        for name in names
    ]
    mean = unit(np.stack([vector for _, vector in found])).mean(axis=0)
    return searcher.by_vector(
        mean,
        names[0] if len(names) == 1 else f"{len(names)} images",
        limit=limit,
        exclude=[image for image, _ in found],
        where=where,
        distinct=distinct,
    )


def _learned(
    library: "Library", config: "BackboneConfig", rules: "TagRules"
) -> "dict[str, NDArray[np.float32]]":
    from tagkin.errors import TaggerError
    from tagkin.similarity import learned_directions
    from tagkin.tagger import Tagger, find_tagger

    tagger = Tagger.load(find_tagger(library.taggers_path, None, config.architecture))
    if tagger.config.fingerprint != config.fingerprint:
        raise TaggerError(
            "the newest tagger was trained on other vectors than the active ones: run 'tagkin "
            "train' again, or leave --learned out"
        )
    return learned_directions(tagger.seen_through(rules))


def _write_page(path: Path, result: "SimilarResult", session: "Session", where: str) -> None:
    from tagkin.errors import TagkinError
    from tagkin.files import atomic_file
    from tagkin.similarity.page import render_page

    page = render_page(result, session.settings, where=where)
    try:
        with atomic_file(path) as file:
            file.write_text(page, "utf-8", errors="replace")
    except OSError as error:
        raise TagkinError(f"can't write {path}: {error}") from error


def print_similar(output: "Output", result: "SimilarResult") -> None:
    """Prints the nearest images and the tags as tables."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.files import printable

    if not result.images:
        output.print("the library holds no other image like that")
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
