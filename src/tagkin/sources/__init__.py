"""Readers of tagging conventions: each turns a collection into a stream of image records."""

from pathlib import Path
from typing import Unpack

from tagkin.errors import SourceError
from tagkin.remote_files import is_file, is_folder, is_on_web
from tagkin.remote_paths import RemotePath
from tagkin.sources.detecting import detect
from tagkin.sources.formats import FORMATS
from tagkin.sources.options import SourceKeywords, SourceOptions
from tagkin.sources.record import ImageRecord, Skipped, Source, SourceProblem
from tagkin.sources.webdataset import are_numbered

__all__ = ["FORMATS", "ImageRecord", "Skipped", "Source", "SourceProblem", "open_source"]


def open_source(path: Path, **options: Unpack[SourceKeywords]) -> Source:
    """Opens a collection by what it looks like.

    Args:
        path: A folder or file in one of the formats that ``docs/sources.md`` describes.
        **options: See `SourceOptions`.

    Raises:
        SourceError: It has none of these formats, or one can't be told from another, or it can't
            be read at all; or an option has no meaning for it.
    """
    chosen = SourceOptions(**options)
    if chosen.format is not None and chosen.format not in FORMATS:
        raise SourceError(
            f"there is no format {chosen.format!r}; choose from: {', '.join(FORMATS)}"
        )
    if chosen.images is not None and not _is_place(chosen.images):
        raise SourceError(f"{chosen.images} is not a folder: name the one that holds the images")
    try:
        numbered = are_numbered(path)
        folder = is_folder(path)
        if not (folder or numbered or is_file(path)):
            if not isinstance(path, RemotePath) and path.exists():
                raise SourceError(f"{path} isn't a known kind of collection: no file and no folder")
            raise SourceError(f"{path} doesn't exist")
        name = chosen.format or (
            "webdataset" if numbered else detect(path, tags_key=chosen.tags_key)
        )
        known = FORMATS[name]
        if folder and not known.takes_folders:
            raise SourceError(f"{path} is a folder, and --format {name} reads a file: name that")
        _check_options(path, name, chosen)
        return known.open(path, chosen)
    except (OSError, ValueError) as error:
        if isinstance(path, RemotePath) and isinstance(error, OSError) and error.strerror:
            raise SourceError(error.strerror) from error
        raise SourceError(f"{path} can't be read: {error}") from error


def _is_place(images: Path) -> bool:
    """Returns whether a path can hold images; of a web server that isn't asked."""
    return is_on_web(images) or is_folder(images)


def _check_options(path: Path, name: str, options: SourceOptions) -> None:
    for option in ("columns", "images", "folder_tags", "flags", "tags_key"):
        if getattr(options, option) and option not in FORMATS[name].options:
            fitting = [one for one, known in FORMATS.items() if option in known.options]
            raise SourceError(
                f"--{option.replace('_', '-')} has no meaning for {path}, which is read as {name}; "
                f"it is for: {', '.join(fitting)}"
            )
