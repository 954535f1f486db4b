"""A query as chips, each of which can be taken off."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tagkin.similarity import Query


@dataclass(frozen=True)
class Chip:
    """One term of a query.

    Attributes:
        kind: ``on`` for what is wanted, ``not`` for what isn't.
        word: What comes before the text, such as ``any of``; may be empty.
        text: The tag, folder or date.
        without: Address of the search without it.
    """

    kind: Literal["on", "not"]
    word: str
    text: str
    without: str


def chips_of(query: Query, address_of: Callable[[str], str]) -> tuple[Chip, ...]:
    """Returns the terms of a query.

    Args:
        query: As it was understood.
        address_of: From a query's text to the address of its search.
    """
    chips: list[Chip] = []
    parts: tuple[tuple[str, Literal["on", "not"], str], ...] = (
        ("all_of", "on", ""),
        ("any_of", "on", "any of"),
        ("none_of", "not", "not"),
        ("folders", "on", "folder"),
        ("not_folders", "not", "not in folder"),
        ("dates", "on", "date"),
    )
    for field, kind, word in parts:
        terms = getattr(query, field)
        for place, term in enumerate(terms):
            rest = replace(query, **{field: terms[:place] + terms[place + 1 :]})
            chips.append(Chip(kind, word, _text(term), address_of(str(rest))))
    return tuple(chips)


def _text(term: object) -> str:
    if isinstance(term, str):
        return term
    tag = getattr(term, "tag", None)
    if tag is None:
        return str(getattr(term, "text", term))
    return f"{tag}*" if getattr(term, "prefix", False) else str(tag)
