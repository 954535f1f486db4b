"""``tagkin predict``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption

if TYPE_CHECKING:
    from tagkin.cli.session import Session
    from tagkin.tagger import Tagger

NAME = "predict"


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Image files, or folders of them.")
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    tagger: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A saved tagger, or its folder. (default: the newest of the backbone)",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Exactly K tags for each image. (default: those above their threshold)",
            show_default=False,
        ),
    ] = None,
    rank: Annotated[
        str | None,
        typer.Option(
            metavar="margin|probability",
            help="Order of the tags: how far each is above its own threshold, or its probability. "
            "(default: margin)",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Name the tags of images. Exit code 1 if any of them could not be read."""
    from tagkin.cli.session import Output, Session, printable

    output = Output(json)
    session = Session(library, {"model_architecture": model, "rank": rank}, output=output)
    loaded = _load(session, tagger, model)
    failed = False
    for prediction in loaded.predict(_files(paths), session.settings, top=top):
        failed = failed or prediction.error is not None
        if json:
            output.json(prediction.to_dict())
        elif prediction.error is not None:
            output.note(f"{printable(prediction.path)}: {prediction.error}")
        else:
            tags = ", ".join(f"{tag.tag} {tag.score:.2f}" for tag in prediction.tags)
            output.results.print(
                f"{printable(prediction.path)}: {tags or '(no tag above its threshold)'}",
                markup=False,
            )
    if failed:
        raise typer.Exit(1)


def _load(session: "Session", tagger: str | None, model: str | None) -> "Tagger":
    """Loads a tagger; one of a library sees its tags through the decisions taken since."""
    from tagkin.tagger import Tagger, find_tagger
    from tagkin.vocabulary import TagRules

    if tagger and (Path(tagger) / "tagger.json").is_file():
        return Tagger.load(Path(tagger))
    opened = session.open_library()
    active = opened.state.active_backbone or {}
    architecture = model or (None if tagger else active.get("architecture"))
    loaded = Tagger.load(find_tagger(opened.taggers_path, tagger, architecture))
    return loaded.seen_through(TagRules.from_settings(session.settings, opened.decisions()))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    from tagkin.images import IMAGE_EXTENSIONS

    for path in paths:
        if path.is_dir():
            yield from (
                file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in IMAGE_EXTENSIONS and file.is_file()
            )
        else:
            yield path
