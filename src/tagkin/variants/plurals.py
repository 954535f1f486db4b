"""Is one word the plural of the other? English, German and Latin endings, as patterns.

Only the few plurals that follow no pattern are listed.
"""

from typing import Final

SURE: Final = 9.0
IRREGULAR: Final = {
    "feet": "foot", "geese": "goose", "teeth": "tooth", "mice": "mouse", "lice": "louse",
    "dice": "die", "children": "child", "people": "person", "oxen": "ox",
    "criteria": "criterion", "phenomena": "phenomenon",
}  # fmt: skip
"""Plural to singular."""
_UMLAUTS = (("aeu", "au"), ("ae", "a"), ("oe", "o"), ("ue", "u"))

# (ending of the singular, ending of the plural, least letters before it, log-likelihood ratio).
# The weak ones are German endings that in English make other words: paint and painter.
_ENDINGS: tuple[tuple[str, str, int, float], ...] = (
    ("y", "ies", 2, SURE),
    ("f", "ves", 2, SURE),
    ("fe", "ves", 2, SURE),
    ("man", "men", 0, 8.0),
    ("us", "i", 3, 7.0),
    ("um", "a", 4, 6.0),
    ("is", "es", 4, 7.0),
    ("ix", "ices", 3, 8.0),
    ("ex", "ices", 3, 8.0),
    ("", "innen", 4, 6.0),
    ("in", "innen", 3, 7.0),
    ("", "en", 4, 4.5),
    ("e", "en", 3, 5.5),
    ("", "er", 4, 3.5),
    ("", "e", 4, 3.5),
    ("", "n", 4, 3.5),
)


def plural_llr(first: str, second: str) -> float | None:
    """Log-likelihood ratio that one word is the other's plural; None if no rule says so.

    Args:
        first: A word without separators, in lower case.
        second: Another.
    """
    if IRREGULAR.get(second) == first or IRREGULAR.get(first) == second:
        return SURE
    single, plural = sorted((first, second), key=len)
    if len(single) >= 3 and plural == single + "s" and not single.endswith("s"):
        return SURE if len(single) > 3 or single[-1] not in "aiu" else 5.0
    if len(single) >= 3 and plural == single + "es":
        if single.endswith(("s", "x", "z", "ch", "sh")):
            return SURE
        if single.endswith("o"):
            return 8.0
    # Both ways round: women is no longer than woman, and cacti is shorter than cactus.
    return max(
        (llr for llr in (_ending(single, plural), _ending(plural, single)) if llr is not None),
        default=None,
    )


def umlaut_plural_llr(single: str, plural: str) -> float | None:
    """The same for German plurals that change the vowel: haus/haeuser, apfel/aepfel."""
    for changed, vowel in _UMLAUTS:
        if len(single) < 4 or vowel not in single or changed not in plural:
            continue
        if single.replace(vowel, changed, 1) in {plural, plural.removesuffix("er")} or (
            plural.endswith("e") and single.replace(vowel, changed, 1) == plural[:-1]
        ):
            return 8.0
    return None


def _ending(single: str, plural: str) -> float | None:
    best = None
    for one, many, least, llr in _ENDINGS:
        if not (single.endswith(one) and plural.endswith(many)):
            continue
        stem = single[: len(single) - len(one)]
        if len(stem) < least or stem != plural[: len(plural) - len(many)]:
            continue
        if one == "y" and stem[-1] in "aeiou":
            continue
        best = llr if best is None else max(best, llr)
    return best
