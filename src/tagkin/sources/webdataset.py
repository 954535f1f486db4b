"""WebDataset and img2dataset: tar archives, in which an image lies beside its text and JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tagkin.archives import Member, iter_members, member_path
from tagkin.errors import SourceError
from tagkin.remote_files import is_file, is_folder, is_on_web, list_folder, read_range
from tagkin.remote_paths import RemotePath, as_path
from tagkin.sources.booru import tags_of_post
from tagkin.sources.json_objects import load_json
from tagkin.sources.options import SourceOptions
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.text import clean_tags, decode_text, split_sidecar
from tagkin.sources.walking import MAX_SIDECAR_BYTES, is_image

TAR_EXTENSION = ".tar"

_NUMBERED = re.compile(r"(.*)\{(\d{1,9})\.\.(\d{1,9})\}(.*)", re.DOTALL)  # {000..099}
_MOST_SHARDS = 1_000_000
_SAMPLE = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)  # key, and what the file is of it
_TAG_KEYS = ("tags", "labels", "keywords")
_TEXTS = ("txt", "caption")


@dataclass(frozen=True)
class WebDatasetSource:
    """The samples of one shard, or of all in a folder; nothing is unpacked.

    Files of a sample share their name up to the first dot and follow each other. Its tags are
    those of its text, as in a sidecar, and of its JSON: a list or text called ``tags``, ``labels``
    or ``keywords``, or a post as boorus have them; else, where there is no text, its ``caption``.

    Attributes:
        path: The archive or the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "webdataset"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return f"WebDataset {self.path} of {len(shards(self.path))} shards, tags in .txt and .json"

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Reads the shards one after the other; damage ends one with a problem."""
        for shard in shards(self.path):
            try:
                for _, members in groupby(iter_members(shard), _key):
                    yield from _read_sample(shard, list(members))
            except OSError as error:
                yield SourceProblem(shard, f"can't be read: {error.strerror or error}")
            except ValueError as error:
                yield SourceProblem(shard, f"the rest can't be read: {error}")

    def count(self) -> Iterator[None]:
        """Goes through the images by the headers of the archives, unless they are far away."""
        if isinstance(self.path, RemotePath):
            return
        for shard in shards(self.path):
            try:
                for member in iter_members(shard):
                    if is_image(member.name):
                        yield None
            except (OSError, ValueError):
                yield None  # the problem that it will be


def open_webdataset(path: Path, options: SourceOptions) -> WebDatasetSource:  # noqa: ARG001
    """Opens a shard or a folder of them.

    Raises:
        SourceError: There is none, or it is compressed.
    """
    if is_on_web(path):
        raise SourceError(
            f"archives on web servers are not read in place: copy {path} to a disk or a store"
        )
    if are_numbered(path):
        return WebDatasetSource(path.absolute())
    if not is_folder(path):
        try:
            next(iter_members(path), None)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{path} can't be read as a tar archive; if it is compressed, unpack it to .tar "
                "first"
            ) from error
        if path.suffix.lower() != TAR_EXTENSION:
            raise SourceError(f"the name of {path} doesn't end in .tar: rename it")
    elif not shards(path):
        raise SourceError(f"there is no {TAR_EXTENSION} file in {path}")
    return WebDatasetSource(path.absolute())


def are_numbered(path: Path) -> bool:
    """Returns whether a path stands for several shards, as ``{000..099}.tar`` does."""
    return _NUMBERED.fullmatch(str(path)) is not None and path.suffix == TAR_EXTENSION


def shards(path: Path) -> list[Path]:
    """Returns an archive itself, those that are numbered, or those in a folder by their names."""
    if numbered := _NUMBERED.fullmatch(str(path.absolute())):
        before, first, last, after = numbered.groups()
        numbers = range(int(first), min(int(last), int(first) + _MOST_SHARDS) + 1)
        return [as_path(f"{before}{number:0{len(first)}d}{after}") for number in numbers]
    if not is_folder(path):
        return [path.absolute()]
    names = (name for name, below in list_folder(path) if not below)
    found = (path.absolute() / name for name in names if name.endswith(TAR_EXTENSION))
    return [shard for shard in found if is_file(shard)]


def _key(member: Member) -> str:
    match = _SAMPLE.fullmatch(member.name)
    return match[1] if match else member.name


def _read_sample(shard: Path, members: list[Member]) -> Iterator[ImageRecord | SourceProblem]:
    images = [member for member in members if is_image(member.name)]
    if not images:
        return
    kinds = {member.name.rpartition(".")[2].lower(): member for member in members}
    tags: dict[str, None] = {}
    for kind in _TEXTS:
        if kind in kinds:
            try:
                tags |= dict.fromkeys(split_sidecar(decode_text(_read(shard, kinds[kind]))))
            except (OSError, ValueError) as error:
                yield SourceProblem(shard, f"{kinds[kind].name}: {error}")
    if "json" in kinds:
        try:
            document = load_json(_read(shard, kinds["json"]))
            tags |= dict.fromkeys(_tags_in(document, with_caption=not tags))
        except (OSError, ValueError) as error:
            yield SourceProblem(shard, f"{kinds['json'].name}: {error}")
    for image in images:
        yield ImageRecord(member_path(shard, image.name), tuple(tags))


def _read(shard: Path, member: Member) -> bytes:
    if member.size > MAX_SIDECAR_BYTES:
        raise ValueError(f"more than {MAX_SIDECAR_BYTES:,} bytes: not a tag file")
    return read_range(shard, member.offset, member.size)


def _tags_in(document: Any, *, with_caption: bool) -> tuple[str, ...]:
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    if isinstance(document.get("tags"), dict) or any(key.startswith("tag_") for key in document):
        return tags_of_post(document)
    for key in (*_TAG_KEYS, *(("caption",) if with_caption else ())):
        value = document.get(key)
        if isinstance(value, list):
            return clean_tags(tag for tag in value if isinstance(tag, str))
        if isinstance(value, str):
            return split_sidecar(value)
    return ()
