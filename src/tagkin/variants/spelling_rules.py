"""Rules of spelling: those that are sure, those that rule a pair out, and those on whole words.

A rule knows a kind of difference for what it is; what no rule knows is weighed by
`spelling_model`.
"""

import re
from itertools import product
from typing import Final

from tagkin.variants.closed_classes import are_opposed, mean_the_same
from tagkin.variants.folding import Form
from tagkin.variants.lexicon import Lexicon
from tagkin.variants.plurals import SURE as SURE_PLURAL
from tagkin.variants.plurals import plural_llr, umlaut_plural_llr
from tagkin.variants.string_evidence import StringEvidence
from tagkin.variants.thesauri import OPPOSITE, TRANSLATION

_INNER_DIGIT = re.compile(r"[a-z][0-9@$]+[a-z]")
_PLURAL_OF_ITS_OWN: Final = 8.5
_JOINED: Final = 8.5
_CUT: Final = (4.5, 3.0)
"""With word lists, that don't know the cut word, and without."""
_PREFIX: Final = 3


def by_rule(a: Form, b: Form, lexicon: Lexicon) -> StringEvidence | None:
    """What a rule says of two tags for certain, for or against; None if none applies."""
    if a.lower == b.lower:
        return StringEvidence("case", 11.0, True)
    link = lexicon.link(a, b)
    if link is not None and link.relation == "yours":
        return StringEvidence("yours", link.llr, True)
    found = _by_form(a, b) or _by_plural(a, b, lexicon)
    if found is not None:
        return found
    if link is not None and link.relation == "typo":
        return StringEvidence("typo", link.llr, True)
    if sorted(a.numbers) != sorted(b.numbers):
        return StringEvidence("number", -4.0)
    if (link is not None and link.relation == "opposite") or _swap_opposites(a, b):
        return StringEvidence("opposite", OPPOSITE)
    return None


def by_dictionary(a: Form, b: Form, lexicon: Lexicon) -> StringEvidence | None:
    """What a dictionary says for two words being one thing; never sure by itself."""
    link = lexicon.link(a, b)
    if link is not None and link.relation in {"synonym", "translation"}:
        return StringEvidence("synonym" if link.relation == "synonym" else "translation", link.llr)
    if mean_the_same(a.key, b.key):
        return StringEvidence("translation", TRANSLATION)
    return None


def by_words(a: Form, b: Form, lexicon: Lexicon) -> StringEvidence | None:
    """Rules for tags of several words."""
    if len(a.tokens) == len(b.tokens) == 1:
        return None
    words_a, words_b = set(a.tokens), set(b.tokens)
    if words_a == words_b:
        return StringEvidence("word order", 6.5)
    if words_a < words_b or words_b < words_a:
        return StringEvidence("part", 1.0)
    for short, long in ((a, b), (b, a)):
        if _is_initials(short, long):
            return StringEvidence("initials", 4.0 if len(short.key) >= 3 else 3.0)
        if _is_joined_abbreviation(short.key, long.tokens):
            # Letter for letter the beginnings of each word: hardly by chance.
            return StringEvidence("abbreviation", _JOINED)
        if _abbreviates_a_word(short, long, lexicon):
            return StringEvidence("abbreviation", _CUT[0] if lexicon.lists else _CUT[1])
    return None


def _by_form(a: Form, b: Form) -> StringEvidence | None:
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
    return None


def _by_plural(a: Form, b: Form, lexicon: Lexicon) -> StringEvidence | None:
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
    if llr > _PLURAL_OF_ITS_OWN and any(lexicon.is_headword(form.key) for form in (a, b)):
        return StringEvidence("plural", _PLURAL_OF_ITS_OWN)  # glasses are no two of a glass
    return StringEvidence("plural", llr, llr >= SURE_PLURAL - 1.0)


def _numbers_differ(a: Form, b: Form) -> StringEvidence | None:
    if a.numbers != b.numbers and (a.digit_gap or b.digit_gap):
        return StringEvidence("number", 2.0)
    return None


def _swap_opposites(a: Form, b: Form) -> bool:
    rest_a = [token for token in a.tokens if token not in b.tokens]
    rest_b = [token for token in b.tokens if token not in a.tokens]
    return any(are_opposed(one, other) for one, other in product(rest_a, rest_b)) and (
        len(rest_a) == len(rest_b) == 1
    )


def _is_initials(short: Form, long: Form) -> bool:
    return len(long.tokens) >= 2 and short.key == "".join(token[0] for token in long.tokens)


def _is_joined_abbreviation(key: str, words: tuple[str, ...]) -> bool:
    """Whether a key joins the beginnings of all words, some of them cut: mapsym, map symbol."""
    if not words:
        return not key
    first = words[0]
    return any(
        key.startswith(first[:length]) and _is_joined_abbreviation(key[length:], words[1:])
        for length in range(len(first), min(_PREFIX, len(first)) - 1, -1)
    )


def _abbreviates_a_word(short: Form, long: Form, lexicon: Lexicon) -> bool:
    """Whether the same words stand in the same order, one of them cut: map sym, map symbol."""
    if len(short.tokens) != len(long.tokens):
        return False
    cut = [pair for pair in zip(short.tokens, long.tokens, strict=True) if pair[0] != pair[1]]
    return (
        len(cut) == 1
        and len(cut[0][0]) >= _PREFIX
        and len(cut[0][1]) > len(cut[0][0]) + 1
        and cut[0][1].startswith(cut[0][0])
        and not lexicon.lists.look_up(cut[0][0])[0]
    )
