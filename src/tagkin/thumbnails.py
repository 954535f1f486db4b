"""Small pictures of images, for pages, and the folder in which they are kept."""

import io
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from tagkin.images import ImageLimits, decode
from tagkin.settings import Settings

#: The heights that are made; others are rounded up, so that the cache can't be flooded.
HEIGHTS = (96, 160, 240, 320, 480, 640)
USUAL_HEIGHT = 240

_FOLDER = "thumbnails"
_WIDEST = 4  # times the height; what is longer is cut to its middle
_QUALITY = 80


def make_thumbnail(data: bytes, height: int, limits: ImageLimits) -> bytes:
    """Returns a small WebP of an image, at most so high and four times as wide.

    Raises:
        ImageError: The image can't be decoded or is beyond the limits.
    """

    def least_size(width: int, whole: int) -> tuple[int, int]:
        scale = min(1.0, height / whole)
        return max(1, round(width * scale)), max(1, round(whole * scale))

    decoded = decode(data, limits, least_size=least_size)
    image, box = decoded.image, decoded.box
    width, tall = box[2] - box[0], box[3] - box[1]
    if width > _WIDEST * tall:  # a banner would be a line
        middle = (box[0] + box[2]) / 2
        box = (middle - _WIDEST * tall / 2, box[1], middle + _WIDEST * tall / 2, box[3])
        width = _WIDEST * tall
    target = min(height, decoded.height)
    size = max(1, round(target * width / tall)), target
    small = image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=3)
    return file.getvalue()


def thumbnails_of(
    heights: tuple[int, ...], settings: Settings
) -> Callable[[str, bytes], list[bytes]]:
    """Returns what makes the thumbnails of an image, given its id and the content of its file.

    Args:
        heights: Some of `HEIGHTS`; there is a thumbnail of each.
        settings: Limits of images.
    """
    limits = ImageLimits.from_settings(settings)
    return lambda _, data: [make_thumbnail(data, height, limits) for height in heights]


class ThumbnailCache:
    """Thumbnails in a folder that can be deleted at any time.

    Args:
        cache_dir: The cache folder.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._folder = cache_dir / _FOLDER

    def load(self, image: str, height: int) -> bytes | None:
        """Returns the thumbnail of an image by its id, one of `HEIGHTS` high; None without one."""
        with suppress(OSError):
            kept = self._file(image, height).read_bytes()
            if _is_whole(kept):
                return kept
        return None

    def has(self, image: str, height: int) -> bool:
        """Returns whether there is one, without looking into it."""
        with suppress(OSError):
            return self._file(image, height).stat().st_size > 0
        return False

    def store(self, image: str, height: int, content: bytes) -> None:
        """Keeps a thumbnail.

        Raises:
            OSError: The disk is full or the like.
        """
        file = self._file(image, height)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not flushed to disk as `atomic_file` does: a thumbnail that is lost is made again.
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _file(self, image: str, height: int) -> Path:
        return self._folder / str(height) / image[:2] / f"{image}.webp"


def _is_whole(webp: bytes) -> bool:
    """Returns whether a WebP has the length that its header says, after a crash of the machine."""
    return webp[:4] == b"RIFF" and int.from_bytes(webp[4:8], "little") + 8 == len(webp)
