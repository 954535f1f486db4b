"""Bytes to an upright RGB image.

Whatever is wrong with a file surfaces as `ImageError`, whose message is a reason that leaves the
file unnamed: the caller knows the path. All of it can be called from many threads at once.
"""

import importlib
import io
import logging
import os
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from tagkin import archives, remote_files
from tagkin.colours import mend_transparency, to_rgb
from tagkin.errors import ImageError, ImageTooLargeError, NoAnswerError, UnreachableError
from tagkin.remote_paths import RemotePath
from tagkin.settings import Settings
from tagkin.signatures import begins_like
from tagkin.upright import UPRIGHT, Box, covered, orientation_of
from tagkin.web_files import WebRules, fetch

UInt8 = npt.NDArray[np.uint8]
LeastSize = Callable[[int, int], tuple[int, int]]

# The formats that are tried, by Pillow's names and in this order. The rest of Pillow's stays out:
# EPS runs Ghostscript, WMF the operating system, and each parser more is one more to attack. TGA
# has no signature, so it comes last. MPO, a JPEG with more pictures behind it, comes with JPEG.
_PLUGINS = {
    "JPEG": "Jpeg",
    "PNG": "Png",
    "GIF": "Gif",
    "WEBP": "WebP",
    "BMP": "Bmp",
    "TIFF": "Tiff",
    "JPEG2000": "Jpeg2K",
    "AVIF": "Avif",
    "PPM": "Ppm",
    "ICO": "Ico",
    "QOI": "Qoi",
    "TGA": "Tga",
}
for _plugin in _PLUGINS.values():
    with suppress(ImportError):  # Pillow before 11.3 knows no AVIF
        importlib.import_module(f"PIL.{_plugin}ImagePlugin")

_TRIED = [*_PLUGINS]
with suppress(ImportError):  # the extra `heif`
    importlib.import_module("pi_heif").register_heif_opener()
    _TRIED.insert(-1, "HEIF")

# What Pillow has to say about odd metadata helps nobody who runs over a million files. One filter
# at import, since `warnings.catch_warnings` changes the filters of the other threads as well.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Lenient(threading.local):
    """Whether Pillow may decode a truncated image, a choice of each thread."""

    on = False

    def __bool__(self) -> bool:
        return self.on


# Pillow's switch holds for the whole process; it only ever asks whether it is true.
_LENIENT = _Lenient()
ImageFile.LOAD_TRUNCATED_IMAGES = _LENIENT  # type: ignore[assignment]

# HEIC and JPEG XL are images to their owner: they're read so that they're refused by name.
IMAGE_EXTENSIONS = frozenset(
    "." + name
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "webp", "avif", "avifs"),
        *("bmp", "tif", "tiff", "jp2", "j2k", "jpx", "ppm", "pgm", "pbm", "pnm", "pfm"),
        *("ico", "qoi", "tga", "heic", "heics", "heif", "hif", "jxl"),
    )
)

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}  # the pages of a TIFF or MPO are no animation
_HEAD = 512  # bytes by which a format is told
_MAX_FRAME_WORK = 32  # times max_pixels that may be decoded to arrive at a later frame


@dataclass(frozen=True)
class ImageLimits:
    """What is refused, and which frame stands for an animation.

    Attributes:
        max_pixels: Width times height, as the header states them.
        max_bytes: Size of the file.
        animation_frame: The frame of a GIF, WebP, PNG or AVIF animation that is decoded.
        allow_truncated: Whether of an image whose file ends too early, or is damaged on the way,
            the part is taken that can be decoded.
        web: Which web servers may be asked, and how long they may take.
    """

    max_pixels: int
    max_bytes: int
    animation_frame: Literal["first", "middle", "last"] = "first"
    allow_truncated: bool = False
    web: WebRules = field(default_factory=WebRules)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Takes the limits from the settings."""
        return cls(
            settings.max_image_pixels,
            settings.max_image_bytes,
            settings.animation_frame,
            settings.allow_truncated,
            WebRules(settings.read_timeout, settings.private_hosts),
        )


@dataclass(frozen=True)
class Decoded:
    """An image ready to use, and what its file said of it.

    Attributes:
        image: Upright, of mode RGB. Smaller than ``width`` x ``height`` if it was decoded scaled.
        width: Pixels of the upright original.
        height: Pixels of the upright original.
        format: Pillow's name of the format in lower case, such as ``jpeg`` or ``mpo``.
        frames: Frames or pages in the file; 1 for most.
        box: The part of ``image`` that the picture covers, in pixels: left, top, right, bottom. All
            of it, but for the fraction of a pixel that decoding at a smaller scale may add.
        truncated: Whether only a part of it could be decoded, the rest being grey or black.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    frames: int
    box: Box
    truncated: bool = False


def read_bytes(path: Path, limits: ImageLimits) -> bytes:
    """Reads a whole image file, wherever it is; see `read_dated`.

    Raises:
        ImageError: It isn't a regular file, is empty, too large, or can't be read.
    """
    return read_dated(path, limits)[0]


def status(path: Path, limits: ImageLimits) -> tuple[int, int]:
    """Returns size and time of change of an image file, as `read_dated` tells the time.

    Raises:
        ImageError: A web server doesn't give it.
        OSError: There is no such file, or its store doesn't answer.
    """
    if isinstance(path, RemotePath) and path.is_on_web:
        return remote_files.web_status(path, limits.web)
    return archives.stat(path)


def reading_threads(paths: Iterable[Path], settings: Settings) -> int | None:
    """Returns how many threads should read files, by where the first of them is.

    What is far away is waited for, so that more of them are busy than there are cores.

    Returns:
        A setting; None stands for the usable cores.
    """
    first = next(iter(paths), None)
    is_remote = isinstance(first, RemotePath)
    return settings.download_threads if is_remote else settings.decode_threads


def read_dated(path: Path, limits: ImageLimits) -> tuple[bytes, int | None]:
    """Reads a whole image file: here, on a store, on a web server, or inside an archive.

    Returns:
        Its content, and of one on a web server what the server says of the time of its change, in
        nanoseconds.

    Raises:
        UnreachableError: Its store doesn't answer.
        ImageError: It isn't a regular file, is empty, too large, or can't be read.
    """
    if isinstance(path, RemotePath) and path.is_on_web:
        found = fetch(str(path), limits.web, most=limits.max_bytes)
        return _checked(found.data, limits), found.changed
    try:
        data = archives.read_member(path, limits.max_bytes + 1)
        if data is None and isinstance(path, RemotePath):
            data = remote_files.read(path, limits.max_bytes + 1)
        elif data is None:
            _check_regular(path)
            with path.open("rb") as file:
                # Python reserves memory for all that is asked for: no more than there is.
                size = os.fstat(file.fileno()).st_size
                data = file.read(min(size, limits.max_bytes) + 1)
    except OSError as error:
        kind = UnreachableError if isinstance(error, NoAnswerError) else ImageError
        raise kind(f"can't be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL or a lone surrogate in the path
        raise ImageError(f"can't be read: {error}") from error
    return _checked(data, limits), None


def _checked(data: bytes, limits: ImageLimits) -> bytes:
    if not data:
        raise ImageError("empty: the file has zero bytes")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"the file has more than {limits.max_bytes:,} bytes; raise max_image_bytes to allow it"
        )
    return data


@contextmanager
def open_header(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Gives an image of which only the header has been read.

    Raises:
        ImageError: It isn't an image that is understood.
        OSError: It can't be read.
    """
    if not isinstance(path, RemotePath):
        _check_regular(path)
    with remote_files.open_binary(path) as file:
        head = file.read(_HEAD)
        file.seek(0)
        try:
            image = _open(file, head)
        except (ImageError, OSError):
            raise
        except Exception as error:  # as in `decode`
            raise ImageError(_damage(error)) from error
        yield image


def _check_regular(path: Path) -> None:
    # Before opening it, because opening a pipe waits for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ImageError("not a regular file")


def decode(data: bytes, limits: ImageLimits, *, least_size: LeastSize | None = None) -> Decoded:
    """Decodes an image in full: upright, RGB, transparent parts on white.

    Colour profiles are not applied. Grey of more than 8 bits and floating point are scaled to
    0..255 as `tagkin.colours.wide_grey` says.

    Args:
        data: The content of an image file.
        limits: Checked against the header, before pixels are decoded.
        least_size: Lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, which is faster, as long
            as width and height stay at least what this function returns for the original's; see
            `tagkin.fitting.least_size`.

    Raises:
        ImageError: The bytes are no image, a damaged one, of an unsupported format, or beyond the
            limits.
    """
    try:
        return _decode_all(data, limits, least_size)
    except _DamagedError as error:
        if not limits.allow_truncated:
            raise
        _LENIENT.on = True
        try:
            return replace(_decode_all(data, limits, least_size), truncated=True)
        except ImageError:
            raise error from None
        finally:
            _LENIENT.on = False


class _DamagedError(ImageError):
    """Pixels that can't be decoded, or not all of them."""


def _decode_all(data: bytes, limits: ImageLimits, least_size: LeastSize | None) -> Decoded:
    try:
        return _decode(_open(io.BytesIO(data), data[:_HEAD]), limits, least_size)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("needs more memory than there is to decode") from error
    except Image.DecompressionBombError as error:
        # From within a decoder, for a frame that is larger than the header said.
        raise ImageTooLargeError(f"too many pixels: {error}") from error
    # Decoders given hostile bytes raise whatever their arithmetic ran into: OSError, SyntaxError,
    # ValueError, struct.error, zlib.error, OverflowError, RecursionError and more.
    except Exception as error:
        raise _DamagedError(_damage(error)) from error


def _open(file: BinaryIO, head: bytes) -> ImageFile.ImageFile:
    """Reads the header of a file, of which the first bytes are given.

    Does not go through `Image.open`, whose limit on pixels is global to the process.
    """
    damage: ImageError | None = None
    prefix = head[:16].ljust(16, b"\0")  # some look further without asking how much there is
    for name in _TRIED:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(prefix)
        if isinstance(accepted, str):  # Pillow's way to say that it was built without a codec
            raise ImageError(f"{name} image, which this build of Pillow can't decode")
        if not accepted:
            continue
        try:
            file.seek(0)
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if accept is not None:
                damage = ImageError(f"damaged {name} image: {error}")
    raise damage or ImageError(f"not an image that is understood: {begins_like(head)}")


def _decode(
    image: ImageFile.ImageFile, limits: ImageLimits, least_size: LeastSize | None
) -> Decoded:
    _check_pixels(image, limits)
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format in _ANIMATED:
        _seek(image, frames, limits)
    width, height = image.size
    mend_transparency(image)
    # Does nothing but for JPEG.
    scaled = image.draft(None, least_size(width, height)) if least_size else None
    image.load()
    if scaled is None:
        # Loading may turn a TIFF, and find a larger picture in an icon than its directory says.
        width, height = image.size
        _check_pixels(image, limits)
    orientation = orientation_of(image)
    format_name = (image.format or "").lower()
    upright = to_rgb(image)
    # A side of 427 pixels is 213.5 at half the size, for which there are 214 pixels.
    beyond = (0.0, 0.0)
    if scaled is not None:
        beyond = (upright.width - scaled[1][2], upright.height - scaled[1][3])
    if orientation in UPRIGHT:
        upright = upright.transpose(UPRIGHT[orientation])
        if orientation >= 5:
            width, height = height, width
    box = covered(upright.size, beyond, orientation)
    return Decoded(upright, width, height, format_name, frames, box)


def _check_pixels(image: Image.Image, limits: ImageLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels: {width}x{height}")
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"{width}x{height} pixels is more than the limit of {limits.max_pixels:,}; "
            "raise max_image_pixels to allow it"
        )


def _seek(image: ImageFile.ImageFile, frames: int, limits: ImageLimits) -> None:
    index = {"first": 0, "middle": frames // 2, "last": frames - 1}[limits.animation_frame]
    # A frame is drawn over those before it, so a small file can ask for hours of work.
    if index * image.width * image.height > _MAX_FRAME_WORK * limits.max_pixels:
        raise ImageError(
            f"animation of {frames} frames of {image.width}x{image.height} pixels is too long to "
            f"decode up to its {limits.animation_frame} frame; set animation_frame to 'first'"
        )
    image.seek(index)
    _check_pixels(image, limits)  # a GIF's frame may be larger than its screen


def _damage(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return f"truncated: the file ends too early ({text})"
    return f"damaged: {text}"
