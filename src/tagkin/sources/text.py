"""The text that tags are written in: its encoding, and what separates one tag from the next."""

import codecs
import re
from collections.abc import Iterable, Sequence

# In falling order of how sure a sign it is: a comma is also found inside tags.
SEPARATORS = ("|", ";", ",", "\n", "\t")

_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also cut at U+2028 and its like
_COMMON_SHARE = 0.1


def bom_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark announces, or None."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None


def decode_text(data: bytes) -> str:
    """Decodes a small text file: by its byte order mark, else UTF-8, else Windows-1252.

    Raises:
        UnicodeError: It isn't what its byte order mark says.
        ValueError: It holds NUL characters, so it's no text.
    """
    text = ""
    announced = bom_encoding(data[:3])
    # Latin-1 takes any byte, and so ends the search.
    for encoding in (announced,) if announced else ("utf-8", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            if announced:
                raise
    if "\0" in text:
        raise ValueError("not text: it holds NUL characters")
    return text


def clean_tags(parts: Iterable[str]) -> tuple[str, ...]:
    """Strips surrounding white space and drops what is then empty; keeps all else raw.

    Half a surrogate pair, which JSON can hold and UTF-8 can't, becomes U+FFFD.
    """
    return tuple(
        tag if tag.isascii() else mend_surrogates(tag) for part in parts if (tag := part.strip())
    )


def mend_surrogates(text: str) -> str:
    """Returns text that UTF-8 can hold: pairs of surrogates joined, halves made U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def split_lines(text: str) -> list[str]:
    """Splits text at the ends of lines as files have them, and nowhere else."""
    return _LINE_END.split(text)


def split_sidecar(text: str) -> tuple[str, ...]:
    """Splits a sidecar, which holds a tag per line or a line of tags between commas.

    One line: commas separate. Several: each is a tag, commas and all, unless every line but the
    last ends in a comma, which makes it a list of commas that was wrapped.
    """
    lines = clean_tags(_LINE_END.split(text))
    if all(line.endswith(",") for line in lines[:-1]):
        return clean_tags(",".join(lines).split(","))
    return lines


def split_parts(cell: str, separator: str) -> list[str]:
    """Splits the cell of a table into what lies between separators, the empty parts too."""
    if separator == "\n":
        return _LINE_END.split(cell)
    return cell.split(separator) if separator else [cell]


def split_cell(cell: str, separator: str) -> tuple[str, ...]:
    """Splits the cell of a table into tags; an empty separator makes it a single one."""
    return clean_tags(split_parts(cell, separator))


def detect_separator(cells: Sequence[str]) -> str:
    r"""Finds what separates the tags within the cells of a table.

    A candidate counts in the cells that it splits into two tags or more, so that ``:|`` and ``;)``
    are no evidence. The first of ``|``, ``;``, ``,``, line end and tab that splits a tenth of the
    cells that aren't empty is taken, else the one that splits most, else none.

    Returns:
        The separator, or "" if each cell is a single tag.
    """
    filled = [cell for cell in cells if cell.strip()]
    splits = {mark: sum(len(split_cell(cell, mark)) > 1 for cell in filled) for mark in SEPARATORS}
    for mark, count in splits.items():
        if count and count >= _COMMON_SHARE * len(filled):
            return mark
    best = max(splits, key=lambda mark: splits[mark])
    return best if splits[best] else ""
