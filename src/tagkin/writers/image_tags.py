"""The formats in which the tags of images are written, by the names that ``--to`` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagkin.errors import ExportError
from tagkin.writers.hydrus_json import hydrus_json
from tagkin.writers.image_documents import CocoFormat, FiftyOneFormat
from tagkin.writers.image_lists import SEPARATOR, CsvFormat, JsonLinesFormat
from tagkin.writers.in_images import ImageWriter
from tagkin.writers.sidecars import NAMES, Names, SidecarFormat, SidecarWriter
from tagkin.writers.tables import TableFormat, TableWriter
from tagkin.writers.tagged import Fold, TagWriter
from tagkin.writers.text_lists import comma_list, line_list
from tagkin.writers.xmp import xmp_sidecar


@dataclass(frozen=True)
class WriteOptions:
    """How tags are written; each field but the last two has the name of an option.

    Attributes:
        output: The file of a format that lists all images in one.
        names: How a new file beside an image is called, of ``auto``, ``short`` and ``full``; auto
            if None.
        update: Whether files that exist may be changed.
        dry_run: Whether to change nothing at all.
        separator: Between the tags in a cell of CSV; ``|`` if None.
        tags_key: Where the tags are in a JSON file beside an image: keys with dots between.
        originals: Whether the first original of an image that is changed stays beside it.
        fold: How spellings of one tag are recognised in files that exist.
        timeout: Seconds that writing into an image may take.
    """

    output: Path | None = None
    names: str | None = None
    update: bool = False
    dry_run: bool = False
    separator: str | None = None
    tags_key: str | None = None
    originals: bool = True
    fold: Fold = str
    timeout: float = 120


@dataclass(frozen=True)
class TagFormat:
    """A format.

    Attributes:
        open: Makes a writer.
        options: Those of `WriteOptions` that mean something for this format and not for all.
    """

    open: Callable[[WriteOptions], TagWriter]
    options: frozenset[str]


def _sidecar(make: Callable[[WriteOptions], SidecarFormat], *more: str) -> TagFormat:
    def open_format(options: WriteOptions) -> TagWriter:
        return SidecarWriter(
            make(options),
            options.fold,
            names=_names(options.names),
            update=options.update,
            dry_run=options.dry_run,
        )

    return TagFormat(open_format, frozenset({"names", *more}))


def _table(make: Callable[[WriteOptions], TableFormat], *more: str) -> TagFormat:
    def open_format(options: WriteOptions) -> TagWriter:
        if options.output is None:
            raise ExportError("this format lists all images in one file: name it with --output")
        return TableWriter(
            make(options), options.output, update=options.update, dry_run=options.dry_run
        )

    return TagFormat(open_format, frozenset({"output", *more}))


def _csv(options: WriteOptions) -> TableFormat:
    return CsvFormat(SEPARATOR if options.separator is None else options.separator)


def _hydrus(options: WriteOptions) -> SidecarFormat:
    return hydrus_json(options.tags_key)


def _embed(options: WriteOptions) -> TagWriter:
    return ImageWriter(
        options.fold,
        update=options.update,
        dry_run=options.dry_run,
        keep_originals=options.originals,
        timeout=options.timeout,
    )


TAG_FORMATS: dict[str, TagFormat] = {
    "txt": _sidecar(lambda _: comma_list()),
    "lines": _sidecar(lambda _: line_list()),
    "xmp": _sidecar(lambda _: xmp_sidecar()),
    "hydrus": _sidecar(_hydrus, "tags_key"),
    "embed": TagFormat(_embed, frozenset({"originals"})),
    "csv": _table(_csv, "separator"),
    "jsonl": _table(lambda _: JsonLinesFormat()),
    "coco": _table(lambda _: CocoFormat()),
    "fiftyone": _table(lambda _: FiftyOneFormat()),
}


def open_writer(name: str, options: WriteOptions) -> TagWriter:
    """Returns a writer of a format.

    Args:
        name: One of `TAG_FORMATS`.
        options: How to write.

    Raises:
        ExportError: There is no such format, an option has no meaning for it, or it can't be
            written where it was asked for.
    """
    if name not in TAG_FORMATS:
        raise ExportError(f"there is no format {name!r}; choose from: {', '.join(TAG_FORMATS)}")
    given = {
        "output": options.output is not None,
        "names": options.names is not None,
        "separator": options.separator is not None,
        "tags_key": options.tags_key is not None,
        "originals": not options.originals,
    }
    for option, is_given in given.items():
        if is_given and option not in TAG_FORMATS[name].options:
            fitting = [one for one, form in TAG_FORMATS.items() if option in form.options]
            shown = "no-originals" if option == "originals" else option.replace("_", "-")
            raise ExportError(
                f"--{shown} has no meaning for the format {name}; it is for: {', '.join(fitting)}"
            )
    return TAG_FORMATS[name].open(options)


def _names(name: str | None) -> Names:
    for known in NAMES:
        if name in (known, None):
            return known
    raise ExportError(f"--names {name!r} is none of {', '.join(NAMES)}")
