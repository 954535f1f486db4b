"""Decisions as a CSV table, which keeps all of them.

Columns: kind, tag, canonical, when, who, evidence, probability. ``canonical`` is the other tag: the
name that a merge keeps, the tag implied, or the second of two. Only ``tag`` and ``canonical`` must
be there, so that a plain table of aliases (``alias,canonical``) is read as merges.
"""

import csv
import io
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import get_args

from tagkin.decisions import Link, LinkKind
from tagkin.errors import ExchangeError
from tagkin.writers.problems import raise_line_problems

_COLUMNS = ("kind", "tag", "canonical", "when", "who", "evidence", "probability")
_KINDS: dict[str, LinkKind] = {kind: kind for kind in get_args(LinkKind)}


def write(links: Sequence[Link]) -> str:
    """Returns decisions as a CSV table with a header."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(_COLUMNS)
    for link in links:
        chance = "" if link.probability is None else repr(link.probability)
        row = (link.kind, link.tag, link.other, link.when, link.who, link.evidence, chance)
        table.writerow(row)
    return file.getvalue()


def read(text: str, known: Collection[str] = ()) -> list[Link]:  # noqa: ARG001 - keeps all letters
    """Returns the decisions in a CSV table.

    Raises:
        ExchangeError: A column is missing, or a line is wrong.
    """
    table = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    found: list[Link] = []
    problems: list[tuple[int, str]] = []
    line = 1
    try:
        header = ["tag" if name == "alias" else name for name in next(table, [])]
        if not {"tag", "canonical"} <= set(header):
            raise ExchangeError(
                "the table needs the columns 'tag' (or 'alias') and 'canonical'; it has "
                f"{', '.join(header) or 'none'}"
            )
        line = table.line_num + 1
        for cells in table:
            if len(cells) > len(header):
                problems.append((line, f"{len(cells)} cells, but {len(header)} columns"))
            elif cells:
                link = _link(dict(zip(header, cells, strict=False)), line)
                if isinstance(link, str):
                    problems.append((line, link))
                else:
                    found.append(link)
            line = table.line_num + 1
    except csv.Error as error:
        problems.append((line, str(error)))
    raise_line_problems(problems)
    return found


def _link(row: dict[str, str], line: int) -> Link | str:
    """Returns what a row says, or what is wrong with it."""
    kind = _KINDS.get(row.get("kind") or "merge")
    tag, other = row.get("tag", ""), row.get("canonical", "")
    if kind is None:
        return f"there is no kind {row['kind']!r}; choose from: {', '.join(_KINDS)}"
    if not tag or not other:
        return "a tag is empty"
    when = row.get("when") or None
    chance = row.get("probability") or None
    try:
        if when is not None:
            datetime.fromisoformat(when)
        probability = None if chance is None else float(chance)
    except ValueError as error:
        return str(error)
    if probability is not None and not 0 <= probability <= 1:
        return f"the probability {chance} is not from 0 to 1"
    who = row.get("who") or None
    return Link(kind, tag, other, line, when, who, row.get("evidence", ""), probability)
