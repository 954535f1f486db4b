"""XMP in places of an image file where Pillow doesn't look: behind a PNG's pixels, and in a GIF."""

import mmap
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tagkin.remote_files import open_binary
from tagkin.remote_paths import RemotePath

_PNG_HEAD = 8  # bytes of the signature, and of what comes before a chunk's data
_CHECKSUM = 4
_MOST_CHUNKS = 100_000  # more only an attacker makes
_KEYWORD = b"XML:com.adobe.xmp"
_GIF_BLOCK = b"!\xff\x0bXMP DataXMP"
_GIF_TRAILER = b"\x01\xff\xfe"  # how the ramp of bytes begins that leads readers out of the block


def hidden_packet(path: Path, image_format: str | None, most: int) -> bytes:
    """Returns a packet of XMP that lies in such a place; nothing if there is none.

    Args:
        path: A file that Pillow took for an image.
        image_format: Pillow's name of its format.
        most: A packet of more bytes is cut off behind one more.

    Raises:
        OSError: It can't be read.
    """
    with open_binary(path) as file:
        if image_format == "PNG":
            return _in_png(file, most)
        if image_format == "GIF":
            if isinstance(path, RemotePath):
                return _in_gif(file.read(), most)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _in_gif(data, most)
    return b""


def _in_png(file: BinaryIO, most: int) -> bytes:
    file.seek(_PNG_HEAD)
    for _ in range(_MOST_CHUNKS):
        head = file.read(_PNG_HEAD)
        if len(head) < _PNG_HEAD:
            break
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"iTXt":
            start = file.tell()
            text = _international_text(file.read(min(length, most + 100)), most)
            if text:
                return text
            file.seek(start)
        file.seek(length + _CHECKSUM, 1)
    return b""


def _international_text(data: bytes, most: int) -> bytes:
    keyword, _, rest = data.partition(b"\0")
    if keyword != _KEYWORD:
        return b""
    compressed = rest[:1] == b"\1"
    text = rest[2:].split(b"\0", 2)[-1]  # behind the language and the keyword in that language
    if compressed:
        with suppress(zlib.error):
            return zlib.decompressobj().decompress(text, most + 1)
        return b""
    return text


def _in_gif(data: bytes | mmap.mmap, most: int) -> bytes:
    start = data.find(_GIF_BLOCK)
    if start < 0:
        return b""
    start += len(_GIF_BLOCK)
    end = data.find(_GIF_TRAILER, start)
    return data[start : min(end if end >= 0 else len(data), start + most + 1)]
