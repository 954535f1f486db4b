"""Thumbnails, made once and kept in the cache folder, and originals with their media types.

Both are read from the files that the library names, which may have changed since: what doesn't have
the content that the image's id stands for is not shown as that image.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tagkin.errors import ImageError
from tagkin.images import ImageLimits, read_bytes
from tagkin.preparing import content_id
from tagkin.thumbnails import HEIGHTS, USUAL_HEIGHT, ThumbnailCache, make_thumbnail
from tagkin.web.problems import NotFoundError

# Pillow's names of the formats that a browser may show beside pages: none of them can carry a
# script. Whatever else a library holds is only offered for download.
_INLINE = {
    "jpeg": "image/jpeg",
    "mpo": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
}
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True)
class Original:
    """The content of an image's file, and what it is."""

    data: bytes
    media_type: str
    inline: bool


class Thumbnails:
    """Thumbnails in a folder that can be deleted at any time.

    Args:
        cache_dir: The cache folder.
        limits: Of the images.
        at_once: Images that are decoded at the same time.
    """

    def __init__(self, cache_dir: Path, limits: ImageLimits, at_once: int) -> None:
        self._kept = ThumbnailCache(cache_dir)
        self._limits = limits
        self._places = threading.BoundedSemaphore(at_once)

    def get(self, image: str, height: int, paths: Callable[[], Sequence[Path]]) -> bytes:
        """Returns a thumbnail as WebP.

        Args:
            image: Id of the image.
            height: One of `HEIGHTS`.
            paths: Looks its files up, the first of which that is as it was is taken.

        Raises:
            NotFoundError: None of the files is there as it was read.
            ImageError: It can't be decoded any more, such as with lower limits.
        """
        kept = self._kept.load(image, height)
        if kept is not None:
            return kept
        with self._places:
            made = make_thumbnail(_content(image, paths(), self._limits), height, self._limits)
        with suppress(OSError):  # a full disk shows thumbnails all the same
            self._kept.store(image, height, made)
        return made


def read_original(
    image: str, paths: Sequence[Path], format_name: str, limits: ImageLimits
) -> Original:
    """Returns the content of an image.

    Args:
        image: Its id.
        paths: Its files, the first of which that is as it was is taken.
        format_name: Pillow's name of its format in lower case, as it was found by its content.
        limits: Of the images.

    Raises:
        NotFoundError: None of the files is there as it was read.
    """
    data = _content(image, paths, limits)
    media_type = _INLINE.get(format_name, _UNKNOWN)
    return Original(data, media_type, format_name in _INLINE)


def is_inline(format_name: str) -> bool:
    """Returns whether images of a format are shown by browsers, rather than downloaded."""
    return format_name in _INLINE


def rounded_height(height: int | None) -> int:
    """Returns the height of the thumbnail that is made for a wanted one."""
    wanted = USUAL_HEIGHT if height is None else height
    return next((one for one in HEIGHTS if one >= wanted), HEIGHTS[-1])


def _content(image: str, paths: Sequence[Path], limits: ImageLimits) -> bytes:
    for path in paths:
        with suppress(ImageError):
            data = read_bytes(path, limits)
            if content_id(data) == image:
                return data
    raise NotFoundError(
        "no file of this image is there as it was read: it was moved or changed since; run "
        "'tagkin prepare' on its source again"
    )
