"""``tagkin predict``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption, ModelOption
from tagkin.cli.places import place
from tagkin.cli.ray_options import AddressOption, EngineOption, WorkersOption, wants_ray
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
from tagkin.remote_paths import RemotePath

if TYPE_CHECKING:
    from tagkin.cli.session import Output, Session
    from tagkin.tagger import Prediction, Tagger
    from tagkin.writers.image_tags import WriteOptions

NAME = "predict"


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            parser=place,
            metavar="PATH...",
            help="Image files, or folders of them; here, or s3://BUCKET/FOLDER and "
            "https://HOST/IMAGE.",
        ),
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
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"Write the tags instead of printing them: {FORMAT_HELP}",
            show_default=False,
        ),
    ] = None,
    output_file: OutputOption = None,
    names: NamesOption = None,
    update: UpdateOption = False,
    dry_run: DryRunOption = False,
    separator: SeparatorOption = None,
    tags_key: TagsKeyOption = None,
    originals: OriginalsOption = True,
    engine: EngineOption = None,
    address: AddressOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Name the tags of images. Exit code 1 if some could not be read, or some tags not written."""
    from tagkin.cli.session import Output, Session
    from tagkin.errors import ExportError
    from tagkin.vocabulary import TagRules
    from tagkin.writers.image_tags import WriteOptions

    given = (output_file, names, separator, tags_key)
    if to is None and (update or dry_run or not originals or any(o is not None for o in given)):
        raise ExportError("name the format in which the tags are to be written: --to FORMAT")
    output = Output(json)
    options = {
        "model_architecture": model,
        "rank": rank,
        # That of a tagkin.toml is for large jobs: this may be a single image.
        "engine": engine or "local",
        "ray_address": address,
        "ray_workers": workers,
    }
    session = Session(library, options, output=output)
    with_ray = wants_ray(session.settings, address, workers)
    loaded = load_tagger(session, tagger, model)
    settings = session.settings
    if with_ray:
        from tagkin.distributed import RayPredictor

        on_ray = RayPredictor(settings.ray_address, settings.ray_workers)
        predictions = on_ray(loaded, _files(paths), settings, top=top)
    else:
        predictions = loaded.predict(_files(paths), settings, top=top)
    if to is None:
        failed = _print_all(predictions, output)
    else:
        rules = loaded.rules or TagRules.from_settings(session.settings)
        write_options = WriteOptions(
            output=output_file,
            names=names,
            update=update,
            dry_run=dry_run,
            separator=separator,
            tags_key=tags_key,
            originals=originals,
            fold=rules.fold,
            timeout=settings.read_timeout,
        )
        failed = _write_all(predictions, output, to, write_options)
    if failed:
        raise typer.Exit(1)


def _print_all(predictions: Iterable["Prediction"], output: "Output") -> bool:
    """Prints predictions; returns whether an image could not be read."""
    from tagkin.files import printable

    failed = False
    for prediction in predictions:
        failed = failed or prediction.error is not None
        if output.as_json:
            output.json(prediction.to_dict())
        elif prediction.error is not None:
            output.note(f"{printable(prediction.path)}: {prediction.error}")
        else:
            tags = ", ".join(f"{tag.tag} {tag.score:.2f}" for tag in prediction.tags)
            output.results.print(
                f"{printable(prediction.path)}: {tags or '(no tag above its threshold)'}",
                markup=False,
            )
    return failed


def _write_all(
    predictions: Iterable["Prediction"], output: "Output", to: str, options: "WriteOptions"
) -> bool:
    """Writes predictions; returns whether an image could not be read, or a tag not written."""
    from tagkin.cli.writing import Report
    from tagkin.files import printable
    from tagkin.writers.image_tags import open_writer
    from tagkin.writers.tagged import TaggedImage

    report = Report(output, dry_run=options.dry_run)
    unread = False
    with open_writer(to, options) as writer:
        for prediction in predictions:
            if prediction.error is not None:
                unread = True
                output.note(f"{printable(prediction.path)}: {prediction.error}")
                if output.as_json:
                    output.json(prediction.to_dict())
                continue
            tags = {tag.tag: tag.score for tag in prediction.tags}
            change = writer.write(TaggedImage(prediction.path.absolute(), tags))
            report.add(change)
            if output.as_json:
                output.json({**prediction.to_dict(), "written": change.to_dict()})
        report.close(writer.finish())
    return unread or report.failed


def load_tagger(session: "Session", tagger: str | None, model: str | None) -> "Tagger":
    """Loads a tagger; one of a library sees its tags through the decisions taken since.

    Raises:
        TaggerError: There is none, or it is damaged.
    """
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
    from tagkin.errors import SourceError
    from tagkin.images import IMAGE_EXTENSIONS
    from tagkin.remote_files import is_folder, list_folder

    for path in paths:
        if isinstance(path, RemotePath):
            try:
                names = list_folder(path) if is_folder(path) else None
            except OSError as error:
                raise SourceError(f"{path}: {error.strerror or error}") from error
            if names is None:
                yield path
                continue
            for name, below in names:
                if below:
                    yield from _files([path / name])
                elif Path(name).suffix.lower() in IMAGE_EXTENSIONS:
                    yield path / name
        elif path.is_dir():
            yield from (
                file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in IMAGE_EXTENSIONS and file.is_file()
            )
        else:
            yield path
