"""What was decided and edited, as files to take elsewhere."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from tagkin.decisions import links
from tagkin.files import printable
from tagkin.records import ID_TYPE
from tagkin.web.problems import WebError
from tagkin.web.state import WebState
from tagkin.writers import FORMATS, format_named

What = Literal["decisions", "edits", "tags"]

#: The formats of each export; the first is the default.
EXPORTS: dict[What, tuple[str, ...]] = {
    "decisions": (*FORMATS, "json"),
    "edits": ("csv", "json"),
    "tags": ("csv", "json"),
}
_SUFFIXES = {"csv": "csv", "json": "json"}


@dataclass(frozen=True)
class Exported:
    """A file.

    Attributes:
        name: Of the file.
        media_type: Of its content.
        parts: Its text, in pieces.
    """

    name: str
    media_type: str
    parts: Iterable[str]


def export(state: WebState, what: What, form: str | None = None) -> Exported:
    """Returns decisions, edits of tags, or the tags of all edited images as a file.

    Args:
        state: The server's.
        what: ``decisions`` in force, ``edits`` (all that are in force), or ``tags``: for each
            image that was edited its files and the tags that it has now.
        form: Of `EXPORTS`; None for the first.

    Raises:
        WebError: There is no such format.
        ExchangeError: The format can't carry a tag.
    """
    chosen = form or EXPORTS[what][0]
    if chosen not in EXPORTS[what]:
        names = ", ".join(EXPORTS[what])
        raise WebError(f"there is no format {chosen!r} for {what}: choose from {names}")
    suffix = _SUFFIXES.get(chosen, "txt")
    media_type = {"csv": "text/csv", "json": "application/json"}.get(suffix, "text/plain")
    parts = {"decisions": _decisions, "edits": _edits, "tags": _tags}[what](state, chosen)
    return Exported(f"tagkin-{what}.{suffix}", media_type, parts)


def _decisions(state: WebState, form: str) -> Iterable[str]:
    found = links(state.live().decisions)
    if form == "json":
        return [json.dumps([link.__dict__ for link in found], ensure_ascii=False, indent=1) + "\n"]
    chosen = format_named(form)
    # Written as a whole before the answer begins, since a format may refuse a tag.
    return [chosen.write([link for link in found if link.kind in chosen.kinds])]


def _edits(state: WebState, form: str) -> Iterable[str]:
    live = state.live()
    standing = [edit for image in live.edited.images for edit in live.edited.of(image)]
    standing.sort(key=lambda edit: edit.number)
    if form == "json":
        return [json.dumps([edit.__dict__ for edit in standing], ensure_ascii=False, indent=1)]
    header = ("number", "kind", "image", "tag", "when", "who")
    return _csv([header, *([getattr(edit, name) for name in header] for edit in standing)])


def _tags(state: WebState, form: str) -> Iterable[str]:
    rows = _tagged(state)
    if form == "json":
        return _json_lines(rows)
    header = ("image", "file", "tag")
    cells = ((image, file, tag) for image, files, tags in rows for file in files for tag in tags)
    return _csv(chain([header], cells))


def _tagged(state: WebState) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields the id, the files and the tags of each image that was edited."""
    live = state.live()
    ids = np.array(sorted(live.edited.images), ID_TYPE)
    for row in state.library.iter_images(ids) if len(ids) else ():
        yield row.id, [printable(path) for path in row.paths], list(state.tags_of(row, live))


def _json_lines(rows: Iterable[tuple[str, list[str], list[str]]]) -> Iterator[str]:
    yield "["
    for number, (image, files, tags) in enumerate(rows):
        entry = {"image": image, "files": files, "tags": tags}
        yield ("," if number else "") + "\n" + json.dumps(entry, ensure_ascii=False)
    yield "\n]\n"


def _csv(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    for row in rows:
        file = io.StringIO()
        csv.writer(file).writerow(row)
        yield file.getvalue()
