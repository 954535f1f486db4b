"""What a comparison of two strings returns."""

from dataclasses import dataclass
from typing import Literal, get_args

Spelling = Literal[
    "case",
    "separator",
    "accent",
    "leet",
    "spelling",
    "plural",
    "typo",
    "stem",
    "word order",
    "initials",
    "abbreviation",
    "part",
    "synonym",
    "translation",
    "yours",
    "number",
    "opposite",
    "none",
]
SPELLINGS: tuple[Spelling, ...] = get_args(Spelling)
VOUCHED: frozenset[Spelling] = frozenset(("synonym", "translation", "abbreviation"))
"""Kinds for which a dictionary or the letters of an abbreviation speak, and not mere likeness."""


@dataclass(frozen=True)
class StringEvidence:
    """What the two strings say.

    Attributes:
        spelling: The kind of likeness.
        llr: Natural-log likelihood ratio.
        sure: Whether a rule vouches for it, not a mere distance.
    """

    spelling: Spelling
    llr: float
    sure: bool = False
