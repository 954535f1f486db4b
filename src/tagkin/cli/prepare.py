"""``tagkin prepare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption
from tagkin.cli.places import place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tagkin.cli.session import Output
    from tagkin.library import Library
    from tagkin.prepare_report import PrepareReport
    from tagkin.settings import Settings
    from tagkin.vocabulary_report import VocabularyReport

NAME = "prepare"


def command(
    source: Annotated[
        Path,
        typer.Argument(
            parser=place,
            help="A folder of images with tags in text files beside them (img.txt or img.jpg.txt), "
            "a table (CSV, TSV, Parquet) with the columns 'file' and 'tags', and 'weights' and "
            "'split' if you like, or one of the other formats of docs/sources.md. It may lie on "
            "an object store: s3://BUCKET/FOLDER.",
        ),
    ],
    library: LibraryOption = None,
    min_tag_occurrences: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Leave out tags on fewer images. (default: 10)",
            show_default=False,
        ),
    ] = None,
    exclude_tags: Annotated[
        str | None,
        typer.Option(
            metavar="TAG,TAG", help="Tags to leave out: repost, meta tags ...", show_default=False
        ),
    ] = None,
    aliases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV with the columns 'alias' and 'canonical': tags to rename.",
            show_default=False,
        ),
    ] = None,
    fold_case: Annotated[
        bool | None,
        typer.Option(
            "--fold-case/--no-fold-case",
            help="Whether tags that differ by case only are one; --no-fold-case keeps them apart. "
            "(default: they are one)",
            show_default=False,
        ),
    ] = None,
    unicode_form: Annotated[
        str | None,
        typer.Option(
            metavar="FORM",
            help="Unicode normalisation form of tags: NFC, NFKC or none. (default: NFKC)",
            show_default=False,
        ),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What separates the tags in a table's cell. (default: detected)",
            show_default=False,
        ),
    ] = None,
    allow_outside: Annotated[
        bool,
        typer.Option("--allow-outside", help="Let a table or dump name files outside its folder."),
    ] = False,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Let a table or dump name images on object stores and web servers (s3://, gs://, "
            "az://, https://).",
        ),
    ] = False,
    source_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="What the source is: folder, csv (TSV as well), parquet, booru, deepdanbooru, "
            "pr0gramm, hydrus, coco, imagefolder, webdataset or embedded. (default: told by its "
            "content)",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=NAME,...",
            help="Names of a table's columns: file=NAME, tags=NAME, weights=NAME, split=NAME. "
            "(default: guessed)",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="DIR",
            help="Folder of the images of a table or dump. (default: the one it lies in)",
            show_default=False,
        ),
    ] = None,
    folder_tags: Annotated[
        bool,
        typer.Option("--folder-tags", help="Take the names of sub-folders as tags as well."),
    ] = False,
    flags: Annotated[
        str | None,
        typer.Option(
            metavar="FLAG,...",
            help="Of a pr0gramm export, only the items with one of these flags: sfw, nsfw, nsfl, "
            "nsfp, or a number. (default: all)",
            show_default=False,
        ),
    ] = None,
    tags_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY.KEY",
            help="Where the tags are in JSON sidecars of Hydrus. (default: tags)",
            show_default=False,
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Take files out of the library that the source no longer has. Files themselves "
            "are never deleted.",
        ),
    ] = False,
    allow_truncated: Annotated[
        bool,
        typer.Option(
            "--allow-truncated",
            help="Of an image that is truncated or damaged, use the part that can be decoded.",
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of the split. (default: 0)", show_default=False),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write what became of each tag to a CSV file.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read images and tags into a library: check, group near-duplicates, split, count tags."""
    from tagkin.cli.progress import ProgressBars
    from tagkin.cli.session import REMEMBERED_OPTIONS, Output, Session
    from tagkin.errors import SourceError
    from tagkin.files import printable
    from tagkin.library import Library
    from tagkin.preparing import prepare
    from tagkin.sources import open_source
    from tagkin.vocabulary import read_aliases

    output = Output(json)
    if report_file:
        _check_target(report_file)
    options = {
        "min_tag_occurrences": min_tag_occurrences,
        "exclude_tags": exclude_tags,
        "aliases": read_aliases(aliases) if aliases else None,
        "fold_case": fold_case,
        "unicode_form": _known_form(unicode_form),
        "seed": seed,
        "allow_truncated": allow_truncated or None,
    }
    session = Session(library, options, output=output)
    opened = open_source(
        source,
        format=source_format,
        separator=separator,
        allow_outside=allow_outside,
        allow_remote=allow_remote,
        columns=_read_columns(columns),
        images=images,
        folder_tags=folder_tags,
        flags=flags,
        tags_key=tags_key,
    )
    target = Library.create_or_open(session.settings.library)
    with ProgressBars(output.notes) as progress:
        report = prepare(target, opened, session.settings, prune=prune, progress=progress)
    if not report.images and not report.problems:
        skipped = ", ".join(f"{what} {count}" for what, count in report.skipped.items())
        raise SourceError(
            f"no image was found in {source} (skipped: {skipped}): name the folder of its images "
            "with --images"
            if skipped
            else f"no image was found in {source}: name the folder that holds them, or a table "
            "whose 'file' column does"
        )
    said = {name: getattr(session.settings, name) for name in REMEMBERED_OPTIONS}
    target.update_state(remembered={k: v for k, v in said.items() if k in session.options})
    if report_file:
        report.tag_report.write_csv(report_file)
    if json:
        output.json({"library": str(target.path), **report.to_dict()})
    else:
        output.print(printable(opened.description), markup=False)
        print_prepared(output, report, target.path)
        if not _names_a_backbone(session.settings, target):
            output.note("next: 'tagkin embed'; 'tagkin recommend' says which backbone suits here")
    if report.groups_across_splits:
        output.note(
            "warning: groups of near-duplicates that lie across splits, because the source or an "
            f"earlier run put them there: {report.groups_across_splits}; scores will look better "
            "than they are"
        )
    if report.problems:
        output.note(f"{len(report.problems)} problems (everything else was kept):")
        output.problems(report.problems)


def _names_a_backbone(settings: "Settings", library: "Library") -> bool:
    """Whether the owner has chosen one: in the settings, or by embedding with it."""
    return "model_architecture" in settings.model_fields_set or bool(library.state.active_backbone)


def _read_columns(text: str | None) -> dict[str, str]:
    """Reads ``file=NAME,tags=NAME``."""
    from tagkin.errors import SettingsError

    columns: dict[str, str] = {}
    for part in (text or "").split(",") if text is not None else ():
        kind, equals, name = part.partition("=")
        if not (equals and kind.strip() and name.strip()):
            raise SettingsError(
                f"--columns {text!r} can't be read: write file=NAME,tags=NAME, with the names of "
                "your columns"
            )
        columns[kind.strip()] = name.strip()
    return columns


def _known_form(name: str | None) -> str | None:
    """Returns a Unicode form as the settings write it, however its letters are written."""
    return {"NFC": "NFC", "NFKC": "NFKC", "NONE": "none"}.get(name.upper(), name) if name else None


def _check_target(report_file: Path) -> None:
    """Finds out before the long work, not after it, that a report can't be written."""
    from tagkin.errors import SettingsError

    if report_file.is_dir():
        raise SettingsError(f"{report_file} is a folder: name a file for --report")
    if not report_file.absolute().parent.is_dir():
        raise SettingsError(f"the folder of the report {report_file} does not exist: make it first")


def print_prepared(output: "Output", report: "PrepareReport", path: Path) -> None:
    """Prints what a library holds."""
    from rich.markup import escape

    from tagkin.files import printable

    vocabulary = report.vocabulary
    output.print(
        f"[bold]{report.images}[/] images in {escape(printable(path))} ({report.new_images} new, "
        f"{report.duplicate_files} duplicate files, {report.untagged_images} without tags, "
        f"{report.near_duplicate_groups} groups of near-duplicates)"
    )
    changes = report.changes
    gone = f"{changes.missing} missing" if not changes.pruned else f"{changes.pruned} pruned"
    output.print(f"files of this source: {changes.added} added, {changes.updated} updated, {gone}")
    if report.skipped:
        output.print(
            "skipped: " + ", ".join(f"{what} {n}" for what, n in report.skipped.items()),
            markup=False,
        )
    if report.truncated_images:
        output.print(f"truncated images, of which a part is used: {report.truncated_images}")
    output.print(", ".join(f"{name} {count}" for name, count in report.splits.items()))
    most = ", ".join(f"{tag} {n}" for tag, n in list(vocabulary.counts.items())[:8])
    dots = " ..." if len(vocabulary.tags) > 8 else ""
    output.print(
        f"[bold]{len(vocabulary.tags)}[/] tags kept{f' ({escape(most)}{dots})' if most else ''}; "
        f"{len(vocabulary.too_rare)} too rare, {len(vocabulary.excluded)} excluded"
    )
    _print_tags(output, report.tag_report)


def _print_tags(output: "Output", tags: "VocabularyReport") -> None:
    """Prints how tags were joined and which of the kept ones are short of images."""
    from tagkin.vocabulary_report import FEW_TRAINING_IMAGES

    case = "case folded" if tags.fold_case else "case kept"
    form = "Unicode as it is" if tags.unicode_form == "none" else f"Unicode {tags.unicode_form}"
    joined = ", ".join(
        f"{len(spellings)} by {step}{_example(spellings)}"
        for step, spellings in tags.joined.items()
    )
    output.print(f"tags: {case}, {form}; spellings joined: {joined}", markup=False)
    if tags.empty:
        _print_short(output, "tags of which folding leaves nothing", list(map(repr, tags.empty)))
    few = [f"{tag} {count}" for tag, count in tags.few_training_images.items()]
    _print_short(output, f"kept tags with fewer than {FEW_TRAINING_IMAGES} training images", few)
    for split in ("validation", "test"):
        _print_short(output, f"kept tags without a {split} image", tags.without_image_in(split))


def _example(spellings: "Mapping[str, str]") -> str:
    return next((f" ({raw!r} is {tag!r})" for raw, tag in spellings.items()), "")


def _print_short(output: "Output", what: str, tags: "Sequence[str]", most: int = 8) -> None:
    if tags:
        dots = " ..." if len(tags) > most else ""
        output.print(f"{what}: {len(tags)} ({', '.join(tags[:most])}{dots})", markup=False)
