"""Pages of long lists: cursors that only the server understands."""

import base64
import binascii

from tagkin.web.problems import WebError

MOST = 200  # entries of a page
_USUAL = 50


def page_size(limit: int | None) -> int:
    """Returns the number of entries of a page, at most 200."""
    return min(max(limit or _USUAL, 1), MOST)


def offset_of(cursor: str | None) -> int:
    """Returns how many entries come before a page.

    Raises:
        WebError: The cursor is not one that an earlier page gave.
    """
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode("ascii")
        if not text.startswith("o") or not text[1:].isdecimal() or len(text) > 12:
            raise ValueError
        return int(text[1:])
    except (ValueError, UnicodeError, binascii.Error):
        raise WebError(
            "the cursor is not one that an earlier answer gave as 'next': leave it out to begin "
            "with the first page"
        ) from None


def next_cursor(offset: int, size: int, total: int | None) -> str | None:
    """Returns the cursor of the following page; None behind the last one.

    Args:
        offset: Entries before this page.
        size: Entries of this page.
        total: Of the whole list.
    """
    end = offset + size
    if not size or (total is not None and end >= total):
        return None
    return base64.urlsafe_b64encode(f"o{end}".encode()).decode().rstrip("=")
