"""One file of a source: known from an earlier run, or read, hashed and decoded."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tagkin import fitting, images, remote_files
from tagkin.errors import ImageError
from tagkin.known_files import KnownFiles
from tagkin.records import ImageFile, ImageRow, Problem
from tagkin.sources.record import ImageRecord, Item

_HASH_SIDE = 64  # pixels that a perceptual hash needs at least; JPEG decodes to that size directly


@dataclass(frozen=True)
class Checked:
    """A file that was read.

    Attributes:
        place: Of the file among those that the library knows; -1 if it is new.
        row: The image that is in it, without files.
        file: The file with its tags.
    """

    place: int
    row: ImageRow
    file: ImageFile


@dataclass(frozen=True)
class Unchanged:
    """A file whose content is as it was.

    Attributes:
        place: As of `Checked`.
        file: The file with its tags.
        as_stored: Whether its tags, and all else, are as they were.
    """

    place: int
    file: ImageFile
    as_stored: bool


def content_id(data: bytes) -> str:
    """Returns the id of an image: BLAKE2b of its bytes with 128 bits, as 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def check(
    item: Item, source: Path, known: KnownFiles, limits: images.ImageLimits
) -> Checked | Unchanged | Problem | None:
    """Reads and decodes one file, unless its size and time say that it is known.

    Returns:
        What was found; None for what is no file.
    """
    if not isinstance(item, ImageRecord):
        return None
    place = known.find(item.path)
    try:
        size = changed = 0
        if place >= 0 or not remote_files.is_on_web(item.path):  # which tells it with the content
            size, changed = images.status(item.path, limits)
        if place >= 0 and known.has_content(place, size, changed):
            file = ImageFile(item.path, item.tags, size, changed, source=source)
            if not item.weights and known.has_tags(place, item.tags, ()):
                return Unchanged(place, file, as_stored=True)
            file = _with_tags_of(item, file)
            return Unchanged(place, file, known.has_tags(place, file.tags, file.weights))
        data, told = images.read_dated(item.path, limits)
        decoded = images.decode(data, limits, least_size=lambda *_: (_HASH_SIDE, _HASH_SIDE))
        row = ImageRow(
            id=content_id(data),
            files=(),
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            frames=decoded.frames,
            phash=fitting.perceptual_hash(decoded.image),
            truncated=decoded.truncated,
        )
        file = ImageFile(item.path, (), len(data), told or changed, source=source)
        return Checked(place, row, _with_tags_of(item, file))
    except (ImageError, OSError) as error:
        return Problem.of(item.path, error)


def _with_tags_of(record: ImageRecord, file: ImageFile) -> ImageFile:
    weighted = ImageFile(file.path, record.tags, 0, 0, record.weights).weighted_tags
    return file.with_tags(weighted)
