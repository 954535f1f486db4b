"""What the spelling of two tags says about their meaning the same.

The value is a natural-log likelihood ratio: how much likelier this pair of strings is for two
tags that mean the same than for two that don't. Sure rules give a high fixed value, plain edits
one that grows with the length and falls with the distance, and caps hold down what is known to
mislead (north america and south america). There is no word list: the patterns are general.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from rapidfuzz.distance import OSA, JaroWinkler

from tagkin.variants.folding import Form
from tagkin.variants.plurals import SURE as SURE_PLURAL
from tagkin.variants.plurals import plural_llr, umlaut_plural_llr

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
    "part",
    "number",
    "none",
]
SPELLINGS: tuple[Spelling, ...] = get_args(Spelling)

_INNER_DIGIT = re.compile(r"[a-z][0-9@$]+[a-z]")
_UNLIKE = -1.2
_VOWELS = frozenset("aeiouy")
# After a common start: endings that leave the subject of an image the same, and those that name
# somebody who does it or another thing.
_SAME_SUBJECT = frozenset(
    ("", "e", "y", "ic", "ical", "al", "ation", "ion", "ing", "ment", "ity", "ness", "ive", "ed")
)
_OTHER_SUBJECT = frozenset(("er", "or", "ist", "ian", "ism", "ful", "less", "ly", "ous"))


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


def compare(a: Form, b: Form) -> StringEvidence:
    """Compares two tags; the order makes no difference."""
    return _by_rule(a, b) or _by_number(a, b) or _by_words(a, b) or _by_edits(a.key, b.key)


def _by_rule(a: Form, b: Form) -> StringEvidence | None:
    if a.lower == b.lower:
        return StringEvidence("case", 11.0, True)
    if a.key == b.key:
        # 1.5 and 15 are numbers of their own, not spellings of one.
        return _numbers_differ(a, b) or StringEvidence("separator", 11.0, True)
    if a.accents & b.accents:
        return _numbers_differ(a, b) or StringEvidence("accent", 9.5, True)
    shortest = min(len(a.key), len(b.key))
    if a.leet & b.leet and shortest >= 3:
        # A digit at either end is often just a number: level 1 is no levell.
        if not any(_INNER_DIGIT.search(form.lower) for form in (a, b)):
            return StringEvidence("leet", min(7.0, shortest + 2.0))
        return StringEvidence("leet", 9.5 if shortest > 3 else 5.0, shortest > 3)
    if a.american & b.american and shortest > 3:
        leet = a.numbers != b.numbers
        return StringEvidence("leet" if leet else "spelling", 9.0 if leet else 9.5, True)
    return _by_plural(a, b)


def _by_plural(a: Form, b: Form) -> StringEvidence | None:
    if abs(len(a.key) - len(b.key)) > 6 or min(len(a.tokens[-1]), len(b.tokens[-1])) < 3:
        return None
    found = [
        llr
        for first in a.american
        for second in b.american
        if (llr := plural_llr(first, second)) is not None
    ]
    # Only a written umlaut tells Haus/Häuser from two English words.
    for single, plural in ((a, b), (b, a)):
        if single.key.isascii() and not plural.key.isascii():
            found += [
                llr
                for form in plural.accents
                if (llr := umlaut_plural_llr(single.key, form)) is not None
            ]
    if not found:
        return None
    llr = max(found)
    if a.numbers != b.numbers:
        llr -= 1.0  # the plural of a leet form: two rules at once
    return StringEvidence("plural", llr, llr >= SURE_PLURAL - 1.0)


def _by_number(a: Form, b: Form) -> StringEvidence | None:
    return StringEvidence("number", -4.0) if sorted(a.numbers) != sorted(b.numbers) else None


def _numbers_differ(a: Form, b: Form) -> StringEvidence | None:
    if a.numbers != b.numbers and (a.digit_gap or b.digit_gap):
        return StringEvidence("number", 2.0)
    return None


def _by_words(a: Form, b: Form) -> StringEvidence | None:
    """Rules for tags of several words, and for words that start or end alike."""
    words_a, words_b = set(a.tokens), set(b.tokens)
    if words_a == words_b:
        return StringEvidence("word order", 6.5)
    if words_a < words_b or words_b < words_a:
        return StringEvidence("part", 1.0)
    if _is_initials(a, b) or _is_initials(b, a):
        return StringEvidence("initials", 4.0 if min(len(a.key), len(b.key)) >= 3 else 3.0)
    if words_a & words_b:
        # Judge what differs only: long common words must not lend their length to it.
        rest_a = "".join(token for token in a.tokens if token not in words_b)
        rest_b = "".join(token for token in b.tokens if token not in words_a)
        found = _by_edits(rest_a, rest_b)
        return found if found.spelling == "typo" else StringEvidence("none", min(found.llr, 1.0))
    return None


def _is_initials(short: Form, long: Form) -> bool:
    return len(long.tokens) >= 2 and short.key == "".join(token[0] for token in long.tokens)


def _by_edits(a: str, b: str) -> StringEvidence:
    if not a or not b:
        return StringEvidence("none", _UNLIKE)
    short, long = sorted((a, b), key=lambda text: (len(text), text))
    distance = OSA.distance(short, long, score_cutoff=2)
    stem = _by_stem(short, long)
    if distance <= 2 and len(long) >= 4:
        llr = _edit_llr(short, long, distance)
        if long.startswith(short) or long.endswith(short):
            llr = min(llr, 4.5)
        if any("\u4e00" <= character <= "\u9fff" for character in long):
            llr = min(llr, 1.0)  # each Han character is a word or half of one
        llr = max(llr, _UNLIKE)
        return stem or StringEvidence("typo" if llr > 1.0 else "none", llr)
    if stem is not None:
        return stem
    if len(short) >= 3 and (long.startswith(short) or long.endswith(short)):
        return StringEvidence("part", min(0.5 * len(short) - 1.0, 2.0))
    likeness = JaroWinkler.similarity(short, long)
    return StringEvidence("none", _UNLIKE + 4.0 * max(0.0, likeness - 0.6))


def _edit_llr(short: str, long: str, distance: int) -> float:
    """The ratio for one or two edits.

    The curves follow how often the typing errors of the codespell project
    (https://github.com/codespell-project/codespell) reach that distance and how often pairs of
    correct words do, lowered where the words are short, since tags are shorter words than those.
    """
    length = (len(short) + len(long)) / 2
    same_start = next(
        (place for place, pair in enumerate(zip(short, long, strict=False)) if len(set(pair)) > 1),
        len(short),
    )
    if distance == 1:
        llr = 7.5 - 5.0 * math.exp((4.0 - length) / 1.5)
        if long in {short[:i] + short[i - 1] + short[i:] for i in range(1, len(short) + 1)}:
            llr += 1.0  # a doubled letter
        elif sorted(short) == sorted(long):
            llr += 1.0  # two letters swapped
        elif _vowel_for_vowel(short, long):
            llr += 0.7
    else:
        llr = 6.5 - 6.0 * math.exp((6.0 - length) / 3.0)
    if same_start == 0:
        llr -= 2.5  # slips of the finger seldom hit the first letter
    elif same_start >= len(short) - 2 and sorted(short) != sorted(long):
        llr = min(llr, 5.0)  # another ending is often another word
    if len(short) <= 3:
        llr = min(llr, 0.5)
    return llr


def _vowel_for_vowel(a: str, b: str) -> bool:
    return len(a) == len(b) and all(
        x == y or (x in _VOWELS and y in _VOWELS) for x, y in zip(a, b, strict=True)
    )


def _by_stem(short: str, long: str) -> StringEvidence | None:
    common = 0
    while common < len(short) and short[common] == long[common]:
        common += 1
    # The ending may begin before the first different letter: geograph|y, geograph|ic.
    for start in range(common, max(common - 3, 4), -1):
        rest = {short[start:], long[start:]}
        if rest <= _SAME_SUBJECT:
            return StringEvidence("stem", 5.0 if start >= 7 else 4.0)
        if rest <= _SAME_SUBJECT | _OTHER_SUBJECT:
            return StringEvidence("stem", 1.5)
    return None
