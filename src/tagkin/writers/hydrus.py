"""Merges as tag siblings of Hydrus, and implications as its tag parents.

Both dialogs of Hydrus import pairs from the clipboard or a text file: two lines for each pair,
first the worse sibling or the child, then the better sibling or the parent. Hydrus strips each line
and drops empty ones, and takes leading dashes and ``system:`` from a tag.
"""

from collections.abc import Collection, Sequence

from tagkin.decisions import Link, LinkKind
from tagkin.writers.problems import raise_line_problems, refuse_tags


def write(links: Sequence[Link]) -> str:
    """Returns links of one kind, two lines each."""
    tags = list(dict.fromkeys(tag for link in links for tag in (link.tag, link.other)))
    refuse_tags(
        "hydrus",
        "which is empty, has a line break or outer white space, or starts with '-' or 'system:'",
        [tag for tag in tags if _changed(tag)],
    )
    return "".join(f"{link.tag}\n{link.other}\n" for link in links)


def read_siblings(text: str, known: Collection[str] = ()) -> list[Link]:  # noqa: ARG001
    """Returns pairs of siblings as merges.

    Raises:
        ExchangeError: The number of tags is odd.
    """
    return _read(text, "merge")


def read_parents(text: str, known: Collection[str] = ()) -> list[Link]:  # noqa: ARG001
    """Returns pairs of child and parent as implications.

    Raises:
        ExchangeError: The number of tags is odd.
    """
    return _read(text, "imply")


def _read(text: str, kind: LinkKind) -> list[Link]:
    lines = enumerate(text.removeprefix("\ufeff").splitlines(), 1)
    tags = [(number, tag) for number, line in lines if (tag := line.strip())]
    if len(tags) % 2:
        raise_line_problems(
            [(tags[-1][0], "a pair needs two lines, and the last tag has no other")]
        )
    return [
        Link(kind, tag, other, number)
        for (number, tag), (_, other) in zip(tags[::2], tags[1::2], strict=True)
    ]


def _changed(tag: str) -> bool:
    return [tag] != [line.strip() for line in tag.splitlines()] or tag.lower().startswith(
        ("-", "system:", "\ufeff")
    )
