"""Merges and implications as the lines of a bulk update request of Danbooru.

``alias a -> b`` and ``imply a -> b``, one a line, as Danbooru's ``BulkUpdateRequestProcessor``
reads them. A tag has no white space there: spaces are written as underscores. Reading turns them
back where the library knows a tag with spaces of that name, so tags that differ in nothing else
can't be written together.
"""

import re
from collections.abc import Collection, Sequence

from tagkin.decisions import Link, LinkKind
from tagkin.writers.problems import raise_line_problems, refuse_tags

#: A request takes no more lines than this; Danbooru asks to split longer ones.
MOST_LINES = 100

_WORDS: dict[LinkKind, str] = {"merge": "alias", "imply": "imply"}
_LINE = re.compile(r"(create alias|alias|create implication|imply) (\S+) -> (\S+)", re.IGNORECASE)


def write(links: Sequence[Link]) -> str:
    """Returns merges and implications as the lines of a request; other kinds are left out."""
    kept = [link for link in links if link.kind in _WORDS]
    tags = list(dict.fromkeys(tag for link in kept for tag in (link.tag, link.other)))
    refuse_tags(
        "danbooru",
        "which is empty or has a line break or other white space than a space in it",
        [tag for tag in tags if not tag or any(c.isspace() and c != " " for c in tag)],
    )
    same: dict[str, list[str]] = {}
    for tag in tags:
        same.setdefault(_name(tag), []).append(tag)
    refuse_tags(
        "danbooru",
        "which differ in spaces and underscores only",
        [tag for alike in same.values() if len(alike) > 1 for tag in alike],
    )
    return "".join(
        f"{_WORDS[link.kind]} {_name(link.tag)} -> {_name(link.other)}\n" for link in kept
    )


def read(text: str, known: Collection[str] = ()) -> list[Link]:
    """Returns the merges and implications in a request.

    Args:
        text: The request.
        known: Tags of the library, of which some may have spaces.

    Raises:
        ExchangeError: A line is neither an alias nor an implication.
    """
    spaced: dict[str, list[str]] = {}
    for tag in known:
        spaced.setdefault(_name(tag), []).append(tag)
    found: list[Link] = []
    problems: list[tuple[int, str]] = []
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        line = " ".join(raw.split())
        match = _LINE.fullmatch(line)
        if match is None:
            if line:
                problems.append((number, f"{line!r} is neither 'alias a -> b' nor 'imply a -> b'"))
            continue
        names = []
        for name in match.groups()[1:]:
            # A tag of that very name, if there is one, is what the name stands for.
            tags = [name] if name in known else spaced.get(name, [name])
            if len(tags) > 1:
                told = ", ".join(map(repr, sorted(tags)))
                problems.append((number, f"{name!r} may be {told}: import these as csv"))
            names.append(tags[0])
        kind: LinkKind = "merge" if "alias" in match[1].lower() else "imply"
        found.append(Link(kind, names[0], names[1], number))
    raise_line_problems(problems)
    return found


def _name(tag: str) -> str:
    return tag.replace(" ", "_")
