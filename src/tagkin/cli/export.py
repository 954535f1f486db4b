"""``tagkin export``."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption
from tagkin.cli.writing import (
    FORMAT_HELP,
    DryRunOption,
    NamesOption,
    OriginalsOption,
    OutputOption,
    SeparatorOption,
    TagsKeyOption,
    UpdateOption,
)

if TYPE_CHECKING:
    from tagkin.cli.session import Session
    from tagkin.library import Library

NAME = "export"
_WHICH = ("own", "predicted", "both")


def command(
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help=FORMAT_HELP[0].upper() + FORMAT_HELP[1:])
    ],
    output_file: OutputOption = None,
    tags: Annotated[
        str,
        typer.Option(
            metavar="own|predicted|both",
            help="own: the library's tags; predicted: those of a tagger; both: the library's, then "
            "what the tagger adds.",
        ),
    ] = "own",
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="The library's tags as they were read, without aliases and decisions."
        ),
    ] = False,
    drop_old_names: Annotated[
        bool,
        typer.Option(
            "--drop-old-names",
            help="Take spellings that aliases and decisions renamed out of files that have them. "
            "Needs --update.",
        ),
    ] = False,
    names: NamesOption = None,
    update: UpdateOption = False,
    dry_run: DryRunOption = False,
    separator: SeparatorOption = None,
    tags_key: TagsKeyOption = None,
    originals: OriginalsOption = True,
    library: LibraryOption = None,
    model: ModelOption = None,
    tagger: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A saved tagger, for predicted tags. (default: the newest of the backbone)",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write the tags of the library's images for other programs.

    Tags are written as aliases and decisions have them, without excluded ones, and with what was
    added to or taken off single images. Exit code 1 if some could not be written.
    """
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import Output, Session
    from tagkin.cli.writing import Report
    from tagkin.errors import ExportError
    from tagkin.vocabulary import TagRules
    from tagkin.writers.from_library import LibraryTags
    from tagkin.writers.image_tags import WriteOptions, open_writer

    if tags not in _WHICH:
        raise ExportError(f"--tags {tags!r} is none of {', '.join(_WHICH)}")
    if drop_old_names and (raw or not update):
        raise ExportError("--drop-old-names changes files that exist: it goes with --update")
    output = Output(json)
    session = Session(library, {"model_architecture": model}, output=output)
    opened = session.open_library()
    rules = TagRules.from_settings(session.settings, opened.decisions())
    wanted = LibraryTags(
        rules,
        own=tags != "predicted",
        raw=raw,
        drop_old_names=drop_old_names,
        more=None if tags == "own" else _predicted(session, opened, tagger, model),
    )
    options = WriteOptions(
        output=output_file,
        names=names,
        update=update,
        dry_run=dry_run,
        separator=separator,
        tags_key=tags_key,
        originals=originals,
        # What was read is told apart as it was read.
        fold=str if raw else rules.fold,
        timeout=session.settings.read_timeout,
    )
    report = Report(output, dry_run=dry_run)
    with open_writer(to, options) as writer, ProgressBars(output.notes) as progress:
        images = wanted.images(opened)
        for number, image in enumerate(images, 1):
            report.add(writer.write(image))
            progress("writing tags", number, len(images))
        table = writer.finish()
    report.close(table)
    if json:
        output.json(report.to_dict(table))
    if report.failed:
        raise typer.Exit(1)


def _predicted(
    session: "Session", library: "Library", tagger: str | None, model: str | None
) -> Callable[[str], Mapping[str, float]]:
    """Returns what gives the predicted tags of an image that has a vector."""
    import numpy as np

    from tagkin.cli.predict import load_tagger
    from tagkin.errors import ExportError

    loaded = load_tagger(session, tagger, model)
    ids, vectors = library.vectors(loaded.config.fingerprint)
    if not ids:
        raise ExportError(
            f"the library has no vectors of {loaded.config.architecture} as the tagger has it: run "
            f"'tagkin embed --model {loaded.config.architecture}' first"
        )
    places = {image: place for place, image in enumerate(ids)}

    def predicted(image: str) -> Mapping[str, float]:
        place = places.get(image)
        if place is None:
            return {}
        vector = vectors[place].astype(np.float32)
        found = loaded.tags_for(vector, rank=session.settings.rank)
        return {tag.tag: tag.score for tag in found}

    return predicted
