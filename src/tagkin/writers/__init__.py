"""Decisions on tags as text that other programs read, and back.

Each format is a pair of pure functions in a module of its own. A writer refuses a tag that its
format can't carry; what a format has no word for, such as a rejection, it leaves out.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tagkin.decisions import Link, LinkKind
from tagkin.errors import ExchangeError
from tagkin.writers import csv_table, danbooru, hydrus

__all__ = ["FORMATS", "Format", "format_named"]


@dataclass(frozen=True)
class Format:
    """A way to write decisions down.

    Attributes:
        name: As given to ``--format``.
        kinds: The kinds of decisions that it has words for.
        write: Returns links of these kinds as text. Raises ExchangeError for tags that it can't
            carry.
        read: Returns the links in a text, numbered by line; the second argument are the tags known
            already, where the format doesn't keep all of their letters. Raises ExchangeError with
            the numbers of wrong lines.
    """

    name: str
    kinds: frozenset[LinkKind]
    write: Callable[[Sequence[Link]], str]
    read: Callable[[str, Collection[str]], list[Link]]


FORMATS = {
    one.name: one
    for one in (
        Format(
            "csv",
            frozenset({"merge", "reject", "imply", "related"}),
            csv_table.write,
            csv_table.read,
        ),
        Format("danbooru", frozenset({"merge", "imply"}), danbooru.write, danbooru.read),
        Format("hydrus", frozenset({"merge"}), hydrus.write, hydrus.read_siblings),
        Format("hydrus-parents", frozenset({"imply"}), hydrus.write, hydrus.read_parents),
    )
}


def format_named(name: str) -> Format:
    """Returns a format by its name.

    Raises:
        ExchangeError: There is none of that name.
    """
    if name not in FORMATS:
        raise ExchangeError(f"there is no format {name!r}; choose from: {', '.join(FORMATS)}")
    return FORMATS[name]
