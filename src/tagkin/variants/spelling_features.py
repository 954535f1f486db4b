"""Pairs of words as numbers: how far apart they are, where, and who knows them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler, LCSseq, Levenshtein, Postfix, Prefix
from rapidfuzz.process import cpdist

from tagkin.variants.folding import Form
from tagkin.variants.word_lists import WordLists

Floats32 = NDArray[np.float32]

FEATURES: Final = (
    "shorter", "longer", "distance", "share", "swaps", "jaro_winkler", "trigrams", "start",
    "start_share", "end", "subsequence", "contained", "vowels", "doubled", "endings", "clipped",
    "known", "count", "gap", "whole",
)  # fmt: skip
"""The columns, all the same for (a, b) and (b, a): letters of the shorter and of the longer text;
edits (optimal string alignment), also as a share of the longer; edits that are swaps of
neighbours; Jaro-Winkler; Dice coefficient of the trigrams; letters of the common start, also as a
share of the shorter; of the common end; share of the shorter that the longer has in order; whether
the longer contains it; whether only vowels differ; whether a letter is doubled; kind of the two
endings; whether the shorter is a beginning that stops after a consonant; who knows the words; the
log10 count of the rarer; how much more frequent the other is; whether the shorter is a word by
itself. The last four are -1 without word lists."""

_VOWELS = frozenset("aeiouyäöü")
# After a common start: endings that leave the subject of an image the same, and those that name
# somebody who does it or another thing.
_SAME_SUBJECT = frozenset(
    ("", "e", "y", "ic", "ical", "al", "ation", "ion", "ing", "ment", "ity", "ness", "ive", "ed")
)
_OTHER_SUBJECT = frozenset(("er", "or", "ist", "ian", "ism", "ful", "less", "ly", "ous"))

UNKNOWN_TO_ALL, ONE_KNOWN, BOTH_KNOWN_APART, BOTH_KNOWN = 0, 1, 2, 3
"""Values of the column ``known``: two words of one language are likelier two words than a German
and an English one (Orchester, orchestra)."""


class Text(NamedTuple):
    """One side of a pair.

    Attributes:
        letters: Folded, without separators.
        words: Its words, each of which may be in a dictionary.
    """

    letters: str
    words: tuple[str, ...]


def to_text(form: Form) -> Text:
    """A tag as the model sees it: without separators, accents and umlauts."""
    return Text(min(form.accents, key=lambda text: (len(text), text)), form.tokens)


def features(pairs: Sequence[tuple[Text, Text]], lists: WordLists) -> Floats32:
    """(P, len(FEATURES)) float32 of P pairs."""
    table = np.zeros((len(pairs), len(FEATURES)), np.float32)
    if not pairs:
        return table
    ordered = [
        (a.letters, b.letters)
        if (len(a.letters), a.letters) <= (len(b.letters), b.letters)
        else (b.letters, a.letters)
        for a, b in pairs
    ]
    short = [one for one, _ in ordered]
    long = [other for _, other in ordered]
    columns = dict(zip(FEATURES, table.T, strict=True))
    columns["shorter"][:] = [len(text) for text in short]
    columns["longer"][:] = [len(text) for text in long]
    least = np.maximum(columns["shorter"], 1)
    columns["distance"][:] = cpdist(short, long, scorer=OSA.distance)
    columns["share"][:] = columns["distance"] / np.maximum(columns["longer"], 1)
    columns["swaps"][:] = cpdist(short, long, scorer=Levenshtein.distance) - columns["distance"]
    columns["jaro_winkler"][:] = cpdist(short, long, scorer=JaroWinkler.similarity)
    columns["start"][:] = cpdist(short, long, scorer=Prefix.similarity)
    columns["start_share"][:] = columns["start"] / least
    columns["end"][:] = cpdist(short, long, scorer=Postfix.similarity)
    columns["subsequence"][:] = cpdist(short, long, scorer=LCSseq.similarity) / least
    columns["contained"][:] = [one in other for one, other in ordered]
    trigrams: dict[str, frozenset[str]] = {}
    for row, (one, other) in enumerate(ordered):
        first, second = _trigrams(one, trigrams), _trigrams(other, trigrams)
        columns["trigrams"][row] = 2 * len(first & second) / (len(first) + len(second))
        start = int(columns["start"][row])
        columns["endings"][row] = endings(one, other, start)
        columns["clipped"][row] = start == len(one) >= 3 and one[-1] not in _VOWELS
    # What stands between the common start and the common end, seldom more than a few letters.
    starts = columns["start"].astype(int)
    for row in np.flatnonzero(columns["distance"] <= 3).tolist():
        one, other = ordered[row]
        start = int(starts[row])
        end = min(int(columns["end"][row]), len(one) - start)
        left, right = one[start : len(one) - end], other[start : len(other) - end]
        columns["vowels"][row] = _VOWELS.issuperset(left) and _VOWELS.issuperset(right)
        columns["doubled"][row] = (
            not left and len(right) == 1 and right in (other[start - 1 : start], other[-end:][:1])
        )
    known = {words: _known(words, lists) for pair in pairs for _, words in pair}
    for row, (a, b) in enumerate(pairs):
        columns["known"][row], columns["count"][row], columns["gap"][row] = _knowledge(
            known[a.words], known[b.words], lists
        )
        shorter = a if a.letters == short[row] else b
        columns["whole"][row] = bool(known[shorter.words][0]) if lists else -1
    return table


Known = tuple[frozenset[str], float]


def _knowledge(a: Known, b: Known, lists: WordLists) -> tuple[float, float, float]:
    """The columns ``known``, ``count`` and ``gap`` of one pair."""
    if not lists:
        return -1, -1, -1
    low, high = sorted((a[1], b[1]))
    if a[0] and b[0]:
        return BOTH_KNOWN if a[0] & b[0] else BOTH_KNOWN_APART, low, high - low
    return ONE_KNOWN if a[0] or b[0] else UNKNOWN_TO_ALL, low, high - low


def endings(short: str, long: str, start: int) -> int:
    """1 for endings of one subject (geography, geographic), -1 for others (painter), else 0."""
    # The ending may begin before the first different letter: geograph|y, geograph|ic.
    for place in range(start, max(start - 3, 4), -1):
        rest = {short[place:], long[place:]}
        if rest <= _SAME_SUBJECT:
            return 1
        if rest <= _SAME_SUBJECT | _OTHER_SUBJECT:
            return -1
    return 0


def _trigrams(text: str, seen: dict[str, frozenset[str]]) -> frozenset[str]:
    found = seen.get(text)
    if found is None:
        padded = f"  {text} "
        found = frozenset(padded[place : place + 3] for place in range(len(padded) - 2))
        seen[text] = found
    return found


def _known(words: tuple[str, ...], lists: WordLists) -> Known:
    """The languages that know all words, and the log10 count of the rarest."""
    if not lists or not words:
        return frozenset(), 0.0
    found = [lists.look_up(word) for word in words]
    languages = frozenset[str].intersection(*(languages for languages, _ in found))
    return languages, float(np.log10(min(count for _, count in found) + 1)) if languages else 0.0
