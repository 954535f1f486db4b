"""Forms of a tag under ever bolder folding: separators, accents, leetspeak, British spelling.

Every rule is a pattern of letters; there is no list of words.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Apostrophes, variation selectors and zero-width characters join what stands around them.
_IGNORED = re.compile("['’`´\ufe00-\ufe0f\u200b-\u200d\u2060\u00ad]")
_SEPARATORS = re.compile(r"[\s_\-‐-―./\\,:;·•\"()\[\]]+")
_DIGITS = re.compile(r"\d+")

_EXPANDED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"}
)
_PLAIN = str.maketrans({"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i"})
_LEET = {"0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_LEET_CHARACTER = re.compile(f"[{re.escape(''.join(_LEET))}]")
_MOST_READINGS = 8

# British to American. What a pattern does to a word that has no American twin is harmless: two
# tags are compared by the outcome, so the odd outcome meets no other tag.
_BRITISH: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # colour, harbours, favourite; not four, flour: a vowel must come earlier.
        (
            r"^([a-z]*[aeiouy][a-z]*[b-df-hj-np-tv-z])our"
            r"(?=$|s$|ed$|ing$|ful|less|able|ite|ist|y$)",
            r"\1or",
        ),
        (r"(?<=[a-z]{3})is(?=(e|es|ed|er|ers|ing|ation|ations)$)", "iz"),  # realise; not prise
        (r"(?<=[a-z]{2})lys(?=(e|es|ed|er|ers|ing)$)", "lyz"),  # analyse
        (r"(?<=[a-z]{2}[tbvgh])re(?=s?$)", "er"),  # centre, fibres
        (r"(?<=[a-z]{3})ence(?=s?$)", "ense"),  # defence
        (r"(?<=[a-z]{3})ogue(?=s?$)", "og"),  # catalogue; not rogue
        (r"^grey", "gray"),
        (r"^(?=.{7})([a-z]*?)[ao]e(?=[a-z]{3})", r"\1e"),  # archaeology
        (r"^([a-z]*[aeiou][a-z]*[^aeiou][aeiou])ll(?=(ed|ing|er|ers)$)", r"\1l"),  # traveller
        (r"(?<=[a-z]{3}[aeiou])mme?(?=s?$)", "m"),  # programme, German programm
        # German before and after 1996, and its cousins of English words: Photo, Elephant, Delphin.
        (r"^ph(?=[a-z]{3})|(?<=[a-z]{3})ph(?=[a-z]{2})", "f"),
        (r"(?<=[a-z]{3}[aeiou]n)ti(?=al$|ell)", "zi"),  # potential
    )
)


@dataclass(frozen=True)
class Form:
    """One tag under each folding; a set holds several readings.

    Attributes:
        tag: As given.
        lower: In lower case.
        tokens: Its words.
        key: The words joined: without case and separators.
        accents: ``key`` without accents, umlauts written both ways (u and ue).
        leet: ``accents`` and what digits inside of words may stand for.
        american: ``leet`` in American spelling.
        numbers: The runs of digits, in order.
        digit_gap: Whether only a separator keeps two digits apart, as in 11:20.
    """

    tag: str
    lower: str
    tokens: tuple[str, ...]
    key: str
    accents: frozenset[str]
    leet: frozenset[str]
    american: frozenset[str]
    numbers: tuple[str, ...]
    digit_gap: bool


def make_form(tag: str) -> Form:
    """Folds one tag in every way.

    A tag of separators only, such as ``:-)`` might be in part, is its own single word.
    """
    lower = tag.lower()
    bare = _IGNORED.sub("", lower)
    tokens = tuple(token for token in _SEPARATORS.split(bare) if token) or (bare or lower,)
    accents = _join(tokens, _without_accents)
    leet = _join(tokens, lambda token: _all(_without_accents(token), _unleet))
    american = _join(
        tokens,
        lambda token: _all(_all(_without_accents(token), _unleet), lambda word: (_american(word),)),
    )
    return Form(
        tag=tag,
        lower=lower,
        tokens=tokens,
        key="".join(tokens),
        accents=accents,
        leet=leet | accents,
        american=american,
        numbers=tuple(_DIGITS.findall(bare)),
        digit_gap=any(
            left[-1].isdigit() and right[0].isdigit() for left, right in itertools.pairwise(tokens)
        ),
    )


def _join(tokens: tuple[str, ...], readings: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """The joined words, in each combination of their readings, up to a limit."""
    # Sorted, so that the same readings survive the limit in every run.
    choices = (sorted(set(readings(token))) for token in tokens)
    return frozenset(
        "".join(words) for words in itertools.islice(itertools.product(*choices), _MOST_READINGS)
    )


def _all(words: Iterable[str], readings: Callable[[str], Iterable[str]]) -> list[str]:
    return [reading for word in words for reading in readings(word)]


def _without_accents(token: str) -> tuple[str, ...]:
    if token.isascii():
        return (token,)
    return tuple(
        "".join(map(_without_mark, token.translate(table))) for table in (_PLAIN, _EXPANDED)
    )


def _without_mark(character: str) -> str:
    # Only from Latin letters: a mark in kana, Devanagari or Cyrillic makes another letter.
    base = unicodedata.normalize("NFD", character)[0]
    return base if "a" <= base <= "z" else character


def _unleet(token: str) -> tuple[str, ...]:
    """The token itself, and its readings if digits stand among letters."""
    if not (_LEET_CHARACTER.search(token) and any("a" <= c <= "z" for c in token)):
        return (token,)
    choices = (_LEET.get(character, character) for character in token)
    readings = itertools.islice(itertools.product(*choices), _MOST_READINGS)
    return (token, *("".join(reading) for reading in readings))


def _american(token: str) -> str:
    for pattern, replacement in _BRITISH:
        token = pattern.sub(replacement, token)
    return token
