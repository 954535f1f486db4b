"""Tags in text files beside images: between commas, or a line each as Hydrus has them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from tagkin.sources.text import bom_encoding, clean_tags, decode_text, split_lines, split_sidecar
from tagkin.writers.sidecars import SidecarFormat

_NOT_UTF8 = (
    "it isn't UTF-8, and its letters could only be guessed: save it as UTF-8 to have tags added"
)


def comma_list() -> SidecarFormat:
    """Returns ``cat, big eyes``, which `tagkin.sources.folder` reads.

    A file that has a tag in each line stays so.
    """
    return SidecarFormat(".txt", False, _read_commas, _is_one_tag, _render_commas)


def line_list() -> SidecarFormat:
    """Returns a tag in each line, commas and all, which `tagkin.sources.hydrus` reads."""
    return SidecarFormat(".txt", False, _read_lines, _is_one_line, _render_lines)


def _read_commas(data: bytes) -> tuple[str, ...]:
    return split_sidecar(_text(data)[0])


def _read_lines(data: bytes) -> tuple[str, ...]:
    return clean_tags(split_lines(_text(data)[0]))


def _is_one_tag(tag: str) -> bool:
    return _survives(split_sidecar, tag)


def _is_one_line(tag: str) -> bool:
    return _survives(lambda text: clean_tags(split_lines(text)), tag)


def _survives(read: Callable[[str], tuple[str, ...]], tag: str) -> bool:
    try:
        return read(decode_text(tag.encode())) == (tag,)
    except ValueError:  # a NUL
        return False


def _render_commas(old: bytes | None, added: Sequence[str], gone: Collection[str]) -> bytes:
    text, encoding = _text(old or b"")
    lines = clean_tags(split_lines(text))
    if len(lines) > 1 and not all(line.endswith(",") for line in lines[:-1]):
        return _append_lines(text, encoding, added, gone)
    if gone:
        text = ", ".join(tag for tag in split_sidecar(text) if tag not in gone)
    before = text.rstrip().rstrip(",").rstrip()
    return (", ".join([*([before] if before else []), *added]) + _line_end(text)).encode(encoding)


def _render_lines(old: bytes | None, added: Sequence[str], gone: Collection[str]) -> bytes:
    text, encoding = _text(old or b"")
    lines = clean_tags(split_lines(text))
    if added and len(lines) == 1 and "," in lines[0]:
        raise ValueError(
            "it holds one line with commas, which may be one tag or several: use the format txt, "
            "or write its tags in a line each"
        )
    return _append_lines(text, encoding, added, gone)


def _append_lines(text: str, encoding: str, added: Sequence[str], gone: Collection[str]) -> bytes:
    end = _line_end(text)
    if gone:
        kept = [line for line in split_lines(text) if line.strip() and line.strip() not in gone]
        text = "".join(line + end for line in kept)
    if text and not text.endswith(("\n", "\r")):
        text += end
    return (text + "".join(tag + end for tag in added)).encode(encoding)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _text(data: bytes) -> tuple[str, Any]:
    """Returns what a file says, and the encoding that it says it in."""
    encoding = bom_encoding(data[:3]) or "utf-8"
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(_NOT_UTF8) from None
    return decode_text(data), encoding
