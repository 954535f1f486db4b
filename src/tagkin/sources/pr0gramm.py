"""What pr0gramm answers: items with their tags inside, or tags in answers of their own.

``items/get`` gives ``items``, and ``items/info`` the ``tags`` of one item, without saying whose:
that stands in ``itemId`` where an export added it, else in the name of the file.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.remote_files import is_file
from tagkin.remote_paths import is_address
from tagkin.sources.booru import NOT_FOUND, VIDEO, VIDEO_EXTENSIONS, dump_files, read_dump
from tagkin.sources.join import Join
from tagkin.sources.json_objects import JsonObject, check_encoding
from tagkin.sources.options import SourceOptions
from tagkin.sources.paths import ImagePaths
from tagkin.sources.record import ImageRecord, Item, Skipped, SourceProblem
from tagkin.sources.weights import weigh

FLAGS = {"sfw": 1, "nsfw": 2, "nsfl": 4, "nsfp": 8}

_FLAGGED_OTHERWISE = Skipped("other flags")
_ID_KEYS = ("itemId", "item_id", "id")
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class Pr0grammSource:
    """The items of one export, or of all in a folder.

    Attributes:
        path: The file or the folder.
        images: Where the images are.
        flags: Bits; an item is read if it has one of them. None reads all.
    """

    path: Path
    images: ImagePaths
    flags: int | None

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "pr0gramm"

    @property
    def description(self) -> str:
        """How the source was understood."""
        only = "" if self.flags is None else f", flags {', '.join(_flag_names(self.flags))}"
        return f"pr0gramm export {self.path}, images in {self.images.folder}{only}"

    def __iter__(self) -> Iterator[Item]:
        """Reads the items; those that come without tags last, joined to theirs."""
        with Join() as join:
            for file in dump_files(self.path):
                for entry in read_dump(file):
                    if isinstance(entry, SourceProblem):
                        yield entry
                        continue
                    try:
                        item = self._sort(entry, file, join)
                    except ValueError as error:
                        item = SourceProblem(file, f"{entry.place}: {error}")
                    if item is not None:
                        yield item
            for item, infos in join.pairs():
                try:
                    tags = infos[-1] if infos else []
                    yield self._record(item, tags)
                except ValueError as error:
                    yield SourceProblem(self.path, f"item {item.get('id')}: {error}")

    def count(self) -> Iterator[None]:
        """Goes through the items and the answers with tags."""
        return (None for file in dump_files(self.path) for _ in read_dump(file))

    def _sort(self, entry: JsonObject, file: Path, join: Join) -> Item | None:
        """Returns the record of an item with tags, and puts other items and tags by."""
        value = entry.value
        tags = value.get("tags")
        if "image" in value:
            if isinstance(tags, list):
                return self._record(value, tags)
            join.add_left(_id(value.get("id")), value)
        elif isinstance(tags, list):
            own = next((value[key] for key in _ID_KEYS if key in value), None)
            named = _DIGITS.findall(file.stem)
            if own is None and not named:
                raise ValueError(
                    "tags of nobody knows which item: name the file by the item's ID, "
                    "as in 123.json"
                )
            join.add_right(_id(named[-1] if own is None else own), tags)
        else:
            raise ValueError("neither an item (it has no 'image') nor tags of one")
        return None

    def _record(self, item: Mapping[str, Any], tags: list[Any]) -> Item:
        flags = item.get("flags")
        if not isinstance(flags, int | None) or (flags or 0) < 0:
            raise ValueError("its flags are no number")
        if self.flags is not None and not (flags or 0) & self.flags:
            return _FLAGGED_OTHERWISE
        name = item.get("image")
        if not isinstance(name, str) or not name:
            raise ValueError("its image is no text")
        if name.rpartition(".")[2].lower() in VIDEO_EXTENSIONS:
            return VIDEO
        path = self._find(name, item.get("id"))
        if path is None:
            return NOT_FOUND
        names, weights = _read_tags(tags)
        marks = [f"flag:{flag}" for flag in _flag_names(flags or 0)]
        if weights:
            weights = (*weights, *(1.0 for _ in marks))
        return ImageRecord(path, (*names, *marks), weights)

    def _find(self, name: str, number: Any) -> Path | None:
        """Looks for ``2024/01/02/abc.jpg`` below the folder, then ``abc.jpg``, then ``ID.jpg``."""
        if is_address(name):
            return self.images.path_of(name)
        base = name.rpartition("/")[2]
        extension = base.rpartition(".")[2]
        for candidate in (name.lstrip("/"), base, f"{number}.{extension}"):
            path = self.images.path_of(candidate)
            if is_file(path):
                return path
        return None


def open_pr0gramm(path: Path, options: SourceOptions) -> Pr0grammSource:
    """Opens an export.

    Raises:
        SourceError: It is compressed or in another encoding than UTF-8, there is none, or the
            flags are unknown.
    """
    for file in dump_files(path):
        check_encoding(file)
    images = ImagePaths(
        options.image_folder(path),
        options.allow_outside,
        options.allow_remote,
        "the folder of the images",
    )
    flags = None if options.flags is None else read_flags(options.flags)
    return Pr0grammSource(path.absolute(), images, flags)


def read_flags(text: str) -> int:
    """Returns the bits of flags that are given by name or number, such as ``sfw,nsfp,16``.

    Raises:
        SourceError: One is neither a name nor a number.
    """
    bits = 0
    for part in text.lower().split(","):
        name = part.strip()
        if name in FLAGS:
            bits |= FLAGS[name]
        elif _DIGITS.fullmatch(name) and int(name):
            bits |= int(name)
        else:
            raise SourceError(
                f"{part.strip()!r} is no flag of pr0gramm: give {', '.join(FLAGS)} or numbers, "
                "with commas between"
            )
    return bits


def is_pr0gramm(value: Mapping[str, Any]) -> bool:
    """Returns whether an object looks like an item, or like the tags of one."""
    if "image" in value:
        return "promoted" in value or ("flags" in value and "up" in value)
    tags = value.get("tags")
    first = tags[0] if isinstance(tags, list) and tags else None
    return isinstance(first, dict) and "confidence" in first and "tag" in first


def _flag_names(flags: int) -> list[str]:
    """Names the bits that are set; an unknown one by its number."""
    names = {bit: name for name, bit in FLAGS.items()}
    return [names.get(1 << at, str(1 << at)) for at in range(flags.bit_length()) if flags >> at & 1]


def _id(value: Any) -> str:
    if not isinstance(value, int | str) or isinstance(value, bool) or value == "":
        raise ValueError("it has no ID")
    return str(value)


def _read_tags(tags: list[Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    names, numbers = [], []
    for tag in tags:
        if not isinstance(tag, dict) or not isinstance(tag.get("tag"), str):
            raise ValueError("among its tags is something else than tags")
        confidence = tag.get("confidence")
        if not isinstance(confidence, int | float | None):
            raise ValueError("the confidence of a tag is no number")
        names.append(tag["tag"])
        numbers.append(1.0 if confidence is None else float(confidence))
    return weigh(names, numbers, "")
