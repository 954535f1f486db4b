"""Finds out by its content which format a collection has."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.remote_files import is_file, is_folder, list_folder, open_binary
from tagkin.sources.booru import is_post
from tagkin.sources.coco import LISTS
from tagkin.sources.csv_posts import is_csv_posts
from tagkin.sources.csv_rows import CSV_EXTENSIONS
from tagkin.sources.deepdanbooru import SQLITE_MAGIC
from tagkin.sources.embedded import embedded_tags
from tagkin.sources.folder import TEXT_EXTENSIONS
from tagkin.sources.hydrus import DEFAULT_KEY, tags_in_json
from tagkin.sources.imagefolder import METADATA_NAMES, metadata_files
from tagkin.sources.json_objects import (
    JSON_ENDINGS,
    JSON_EXTENSIONS,
    check_encoding,
    iter_objects,
    load_json,
)
from tagkin.sources.opening import open_file, plain_suffix
from tagkin.sources.parquet_rows import PARQUET_EXTENSIONS, PARQUET_MAGIC
from tagkin.sources.pr0gramm import is_pr0gramm
from tagkin.sources.table import FILE_COLUMNS
from tagkin.sources.walking import Beside, is_image, read_sidecar
from tagkin.sources.webdataset import TAR_EXTENSION

_LOOKED_AT = 2000  # names in a folder and those in it
_OPENED = 20  # files of a kind
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257
_HEAD = 512


def detect(path: Path, *, tags_key: str | None = None) -> str:
    """Returns the name of the format of a file or folder.

    Args:
        path: An existing one.
        tags_key: Where the tags are in JSON sidecars, if the owner has said so.

    Raises:
        SourceError: It can't be told; says what was seen.
        OSError: It can't be read.
    """
    return _detect_folder(path, tags_key) if is_folder(path) else _detect_file(path)


def _detect_file(path: Path) -> str:
    extension = plain_suffix(path)
    # An archive is read in place, so it is looked at as it is.
    with open_binary(path) if extension == TAR_EXTENSION else open_file(path) as file:
        head = file.read(_HEAD)
    if head.startswith(PARQUET_MAGIC) or extension in PARQUET_EXTENSIONS:
        return "parquet"
    if head.startswith(SQLITE_MAGIC):
        return "deepdanbooru"
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC) or extension == TAR_EXTENSION:
        return "webdataset"
    if extension in CSV_EXTENSIONS:
        return "booru" if is_csv_posts(path) else "csv"
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if extension in JSON_EXTENSIONS or begin in (b"{", b"["):
        check_encoding(path)
        return _detect_json(path)
    raise SourceError(
        f"{path} isn't a known kind of collection. Give a folder of images with tags in .txt files "
        "beside them, a .csv, .tsv or .parquet table with the columns 'file' and 'tags', or a dump "
        "or export; if it is one, say which with --format"
    )


def _detect_json(path: Path) -> str:
    kind, seen = _json_kind(path)
    if kind:
        return kind
    raise SourceError(
        f"{path} is JSON of an unknown kind ({seen}); say with --format booru, pr0gramm, coco or "
        "imagefolder what it is"
    )


def _json_kind(path: Path) -> tuple[str | None, str]:
    """Returns the format of a JSON file by its first objects, and what was seen in it."""
    if _is_coco(path):
        return "coco", ""
    seen: dict[str, None] = {}
    problem = ""
    for entry in islice(iter_objects(path), _OPENED):
        problem = problem or entry.problem
        seen |= dict.fromkeys(entry.value)
        if kind := _kind_of(entry.value):
            return kind, ""
    if seen:
        return None, f"its keys are: {', '.join(key[:40] for key in list(seen)[:12])}"
    return None, problem or "there is no object in it"


def _kind_of(value: dict[str, Any]) -> str | None:
    if is_pr0gramm(value):
        return "pr0gramm"
    if is_post(value):
        return "booru"
    return "imagefolder" if any(name in value for name in FILE_COLUMNS) else None


def _is_coco(path: Path) -> bool:
    """Looks for the three lists at the top of a document, at most up to the first images."""
    import ijson

    found = set()
    try:
        with open_file(path) as file:
            for event, value in islice(ijson.basic_parse(file), _LOOKED_AT):
                if event == "map_key" and value in (*LISTS, "file_name", "image_id"):
                    found.add(value)
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError):
        pass
    return ("images" in found and len(found) > 1) or {"annotations", "image_id"} <= found


def _detect_folder(path: Path, tags_key: str | None) -> str:
    seen = _look(path, tags_key)
    if len(seen) > 1:
        what = "; ".join(f"{evidence} (--format {name})" for name, evidence in seen.items())
        raise SourceError(f"{path} can be read in several ways: it has {what}; say which")
    return next(iter(seen), "folder")


def _look(path: Path, tags_key: str | None) -> dict[str, str]:
    """Returns the formats that a folder may have, each with what speaks for it."""
    seen: dict[str, str] = {}
    if metadata := metadata_files(path):
        seen["imagefolder"] = metadata[0].name
    images: list[Path] = []
    json_files = 0
    for folder, names in _folders(path):
        beside = Beside(folder, names)
        here = [name for name in names if is_image(name)]
        images += (folder / name for name in here[:_OPENED])
        own: set[Path] = set()
        for name in here:
            for extension in TEXT_EXTENSIONS:
                if found := beside.find(name, extension):
                    seen.setdefault("folder", f"{found[0].name} beside {name}")
            if found := beside.find(name, ".xmp"):
                seen.setdefault("embedded", f"{found[0].name} beside {name}")
            own.update(beside.find(name, ".json"))
        for file in sorted(own)[:_OPENED]:
            if _is_sidecar(file, tags_key):
                seen.setdefault("hydrus", f"tags in {file.name}")
        tars = [name for name in names if name.endswith(TAR_EXTENSION)]
        if folder == path and tars and not here:
            seen["webdataset"] = tars[0]
        for name in names if folder == path else ():
            is_json = name.lower().endswith(JSON_ENDINGS) and name not in METADATA_NAMES
            if is_json and folder / name not in own and json_files < _OPENED:
                json_files += 1
                kind = _json_kind(folder / name)[0]
                if kind in ("booru", "pr0gramm"):
                    seen.setdefault(kind, name)
    if "hydrus" in seen and "folder" in seen and tags_key:
        del seen["folder"]  # Hydrus has both, and the key says that it is Hydrus
    if not seen:
        for image in images[:_OPENED]:
            if _has_tags(image):
                return {"embedded": f"tags in {image.name}"}
    return seen


def _folders(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yields folders with the names of the files in them, until enough have been looked at."""
    waiting, left = [path], _LOOKED_AT
    while waiting and left > 0:
        folder = waiting.pop(0)
        try:
            entries = list_folder(folder)
        except OSError:
            continue  # the reader tells it
        waiting += (folder / name for name, is_folder in entries if is_folder)
        left -= len(entries) + 1
        # Sorted, so that what lies beside an image is near it.
        yield folder, [name for name, is_folder in entries if not is_folder][:_LOOKED_AT]


def _is_sidecar(path: Path, tags_key: str | None) -> bool:
    try:
        tags_in_json(load_json(read_sidecar(path)), tags_key or DEFAULT_KEY)
    except ValueError:
        return False
    return True


def _has_tags(image: Path) -> bool:
    try:
        return is_file(image) and bool(embedded_tags(image))
    except ValueError:
        return True  # there is something, though it can't be read
