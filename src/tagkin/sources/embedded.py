"""Tags in the images themselves, as XMP or IPTC, or in ``.xmp`` files beside them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import IptcImagePlugin

from tagkin import images
from tagkin.errors import ImageError
from tagkin.sources.options import SourceOptions
from tagkin.sources.record import SourceProblem
from tagkin.sources.text import clean_tags, decode_text
from tagkin.sources.walking import Beside, FolderSource, open_walk, read_sidecar
from tagkin.sources.xmp import PADDING, tags_in_xmp
from tagkin.sources.xmp_packets import hidden_packet

_KEYWORDS = (2, 25)
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"
_MOST_XMP = 4 * 2**20  # bytes


def open_embedded(path: Path, options: SourceOptions) -> FolderSource:
    """Opens a folder of images that hold their tags, or have them in ``.xmp`` files.

    Raises:
        SourceError: The folder can't be read.
    """
    where = "in the images (XMP, IPTC) and in .xmp files beside them"
    return open_walk(path, options, "embedded", where, _read_tags)


def embedded_tags(path: Path) -> tuple[str, ...]:
    """Returns the tags in an image file, each once; none if it is no image.

    XMP comes before IPTC.

    Raises:
        ValueError: Its XMP can't be read.
    """
    try:
        with images.open_header(path) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
            packet = packet or hidden_packet(path, image.format, _MOST_XMP)
            keywords = _iptc_keywords(image)
    except (ImageError, OSError):
        return ()  # `prepare` names it when it decodes the image
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogateescape")
    if len(packet) > _MOST_XMP:
        raise ValueError(f"XMP of more than {_MOST_XMP:,} bytes is not read")
    tags = tags_in_xmp(packet) if packet.strip(PADDING) else ()
    return tuple(dict.fromkeys((*tags, *clean_tags(keywords))))


def _read_tags(image: str, beside: Beside) -> Iterator[str | SourceProblem]:
    path = beside.folder / image
    try:
        yield from embedded_tags(path)
    except ValueError as error:
        yield SourceProblem(path, f"its tags can't be read: {error}")
    for sidecar in beside.find(image, ".xmp"):
        try:
            yield from tags_in_xmp(read_sidecar(sidecar))
        except ValueError as error:
            yield SourceProblem(sidecar, str(error))


def _iptc_keywords(image: Any) -> tuple[str, ...]:
    # Pillow's reader of IPTC runs into all kinds of errors when it is damaged.
    with suppress(Exception):
        fields = IptcImagePlugin.getiptcinfo(image) or {}
        found = fields.get(_KEYWORDS, [])
        is_utf8 = fields.get(_CHARSET) == _UTF8
        keywords = found if isinstance(found, list) else [found]
        return tuple(
            keyword.decode("utf-8", "replace") if is_utf8 else decode_text(keyword)
            for keyword in keywords
            if isinstance(keyword, bytes)
        )
    return ()
