"""Dumps of Danbooru, e621, Gelbooru and their kin: JSON, JSON lines or CSV with a post each."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.remote_files import is_folder, list_folder
from tagkin.sources.csv_posts import iter_csv_posts
from tagkin.sources.csv_rows import CSV_EXTENSIONS
from tagkin.sources.json_objects import JSON_ENDINGS, JsonObject, check_encoding, iter_objects
from tagkin.sources.opening import plain_suffix
from tagkin.sources.options import SourceOptions
from tagkin.sources.paths import DumpImages, ImagePaths
from tagkin.sources.record import ImageRecord, Item, Skipped, SourceProblem
from tagkin.sources.text import clean_tags

#: The category whose tags stand for themselves; those of others get its name and a colon.
GENERAL = "general"

VIDEO = Skipped("video or Flash")
NOT_FOUND = Skipped("image not in the folder")
_WITHOUT_MD5 = Skipped("post without MD5")

VIDEO_EXTENSIONS = frozenset(("mp4", "webm", "mkv", "mov", "m4v", "avi", "ogv", "swf", "zip"))

_PREFIX = "tag_string_"
_NUMBERS = {"0": GENERAL, "1": "artist", "3": "copyright", "4": "character", "5": "meta"}


@dataclass(frozen=True)
class BooruSource:
    """The posts of one dump file, or of all in a folder.

    Attributes:
        path: The file or the folder.
        images: Where the images are.
    """

    path: Path
    images: ImagePaths

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "booru"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return f"booru dump {self.path}, images by their MD5 in {self.images.folder}"

    def __iter__(self) -> Iterator[Item]:
        """Reads the posts."""
        found = DumpImages(self.images)
        for file in dump_files(self.path):
            for entry in read_dump(file):
                if isinstance(entry, SourceProblem):
                    yield entry
                    continue
                try:
                    yield read_post(entry.value, found)
                except ValueError as error:
                    yield SourceProblem(file, f"{entry.place}: {error}")

    def count(self) -> Iterator[None]:
        """Goes through the posts without looking for their images."""
        return (None for file in dump_files(self.path) for _ in read_dump(file))


def open_booru(path: Path, options: SourceOptions) -> BooruSource:
    """Opens a dump.

    Raises:
        SourceError: It is compressed or in another encoding than UTF-8, or there is none.
    """
    for file in dump_files(path):
        check_encoding(file)
    images = ImagePaths(
        options.image_folder(path),
        options.allow_outside,
        options.allow_remote,
        "the folder of the images",
    )
    return BooruSource(path.absolute(), images)


def dump_files(path: Path) -> list[Path]:
    """Returns a dump itself, or the dumps in a folder in the order of their names.

    Raises:
        SourceError: There is none in the folder, or it can't be read.
    """
    if not is_folder(path):
        return [path.absolute()]
    try:
        names = list_folder(path)
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error
    found = [
        path.absolute() / name
        for name, below in names
        if not below and name.lower().endswith(JSON_ENDINGS)
    ]
    if not found:
        raise SourceError(f"there is no {' or '.join(JSON_ENDINGS)} file in {path}")
    return found


def read_dump(file: Path) -> Iterator[JsonObject | SourceProblem]:
    """Yields the objects of a file, and what can't be read in it as problems of the file."""
    try:
        is_csv = plain_suffix(file) in CSV_EXTENSIONS
        for entry in iter_csv_posts(file) if is_csv else iter_objects(file):
            if entry.problem:
                yield SourceProblem(file, f"{entry.place}: {entry.problem}")
            else:
                yield entry
    except OSError as error:
        yield SourceProblem(file, f"can't be read: {error.strerror or error}")


def is_post(value: Mapping[str, Any]) -> bool:
    """Returns whether an object looks like a post of a booru."""
    file = value.get("file")
    md5 = "md5" in value or "hash" in value or (isinstance(file, dict) and "md5" in file)
    return ("tags" in value or any(key.startswith("tag_string") for key in value)) and (
        md5 or "file_ext" in value
    )


def read_post(post: Mapping[str, Any], images: DumpImages) -> Item:
    """Returns the record of a post whose image is there.

    Raises:
        ValueError: It holds no tags, or what it says of the file is impossible.
    """
    file = post.get("file")
    file = file if isinstance(file, dict) else {}
    md5 = _text(post.get("md5") or post.get("hash") or file.get("md5"))
    extension = _extension(post, file)
    if extension.lower() in VIDEO_EXTENSIONS:
        return VIDEO
    if not md5:  # of a post that the dump's maker wasn't shown in full
        return _WITHOUT_MD5
    number = str(post.get("id", ""))
    path = images.find(
        md5, extension, int(number) if number.isascii() and number.isdigit() else None
    )
    if path is None:
        path = images.at(post.get("file_url") or file.get("url"))
    return NOT_FOUND if path is None else ImageRecord(path, tags_of_post(post))


def tags_of_post(post: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the tags of a post, those of its categories but ``general`` with its name in front.

    The rating is a tag as well, such as ``rating:s``.

    Raises:
        ValueError: There is nothing that could be tags.
    """
    tags: dict[str, None] = {}
    named: set[str] = set()
    for category, value in _categories(post):
        found = clean_tags(_words(value))
        named.update(found)
        if category not in ("", GENERAL):
            found = clean_tags(f"{category}:{tag}" for tag in found)
        tags |= dict.fromkeys(found)
    for key in ("tag_string", "tags"):
        if isinstance(post.get(key), str | list):
            found = clean_tags(word for word in _words(post[key]) if word not in named)
            tags |= dict.fromkeys(found)
    if not (tags or named or any(key in post for key in ("tag_string", "tags"))):
        raise ValueError("it has no tags: no 'tag_string', no 'tags'")
    rating = _text(post.get("rating"))
    if rating:
        tags |= dict.fromkeys(clean_tags([f"rating:{rating}"]))
    return tuple(tags)


def _categories(post: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in post.items():
        if key.startswith(_PREFIX):
            yield key[len(_PREFIX) :], value
    tags = post.get("tags")
    if isinstance(tags, dict):  # category -> list of tags
        yield from tags.items()
    elif isinstance(tags, list):  # objects, as in dumps of Danbooru up to 2021
        for tag in tags:
            if isinstance(tag, dict):
                category = str(tag.get("category", ""))
                yield _NUMBERS.get(category, "" if category.isdigit() else category), [tag]


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value.split()
    elif isinstance(value, list):
        for tag in value:
            name = tag.get("name") if isinstance(tag, dict) else tag
            if isinstance(name, str):
                yield name
            elif not isinstance(tag, dict):
                raise ValueError("among its tags is something else than text")
    elif value is not None:
        raise ValueError("its tags are no text and no list")


def _extension(post: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    given = _text(post.get("file_ext") or file.get("ext"))
    for key in ("image", "file_url"):
        if not given:
            given = os.path.splitext(_text(post.get(key)).partition("?")[0])[1]  # noqa: PTH122
    return given.removeprefix(".")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
