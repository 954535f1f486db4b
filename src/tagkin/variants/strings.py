"""What the spelling of two tags says about their meaning the same.

The value is a natural-log likelihood ratio: how much likelier this pair of strings is for two
tags that mean the same than for two that don't. Sure rules give a high fixed value; dictionaries
speak for synonyms and translations; what remains is weighed by a model learnt from public lists of
typing errors, plurals and spellings, and caps hold down what is known to mislead: two words that
a dictionary knows, however alike, are usually two things.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import cpdist

from tagkin.variants.folding import Form
from tagkin.variants.lexicon import NO_LEXICON, Lexicon
from tagkin.variants.spelling_features import (
    BOTH_KNOWN,
    FEATURES,
    Floats32,
    Text,
    features,
    to_text,
)
from tagkin.variants.spelling_model import shipped_model
from tagkin.variants.spelling_rules import by_dictionary, by_rule, by_words
from tagkin.variants.string_evidence import SPELLINGS, Spelling, StringEvidence

_KIN_BY_SPELLING = 0.7
"""Share of the tags that mean the same whose spelling shows it; the others are synonyms."""
UNLIKE = float(np.log(1 - _KIN_BY_SPELLING))
_TOO_UNLIKE = 0.6
"""Jaro-Winkler similarity below which the model is not asked."""
_PART_OF_WORD = 4.5
_COMPOUND = 1.5
_CLIPPED = 2.0
_STEM = (4.0, 5.0)
_OTHER_STEM = 1.5
_TWO_WORDS = 2.5
_TWO_WORDS_APART = 1.0
_FAR = 1.5
_SHORT = 0.5
_BLIND = ((4.0, 6.0, 9.0), (3.0, 5.0, 8.5))
"""Letters of the longer text, and the most that likeness says without word lists."""
_SIBLING = -1.0
_SAME_HEAD = 1.0
# Each Han character is a word or half of one, and kana and Hangul are syllables.
_SYLLABLES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")

__all__ = ["SPELLINGS", "UNLIKE", "Spelling", "StringEvidence", "compare", "compare_all"]

Pair = tuple[Form, Form]


def compare(a: Form, b: Form, lexicon: Lexicon = NO_LEXICON) -> StringEvidence:
    """Compares two tags; the order makes no difference."""
    return compare_all([(a, b)], lexicon)[0]


def compare_all(pairs: Sequence[Pair], lexicon: Lexicon = NO_LEXICON) -> list[StringEvidence]:
    """Compares P pairs of tags, which takes a tenth of the time of as many single comparisons.

    Args:
        pairs: Folded tags.
        lexicon: What is known of their words.
    """
    found = [by_rule(a, b, lexicon) for a, b in pairs]
    open_rows = [row for row, evidence in enumerate(found) if evidence is None]
    weighed = _by_likeness([pairs[row] for row in open_rows], lexicon)
    for row, evidence in zip(open_rows, weighed, strict=True):
        a, b = pairs[row]
        said = (evidence, by_words(a, b, lexicon), by_dictionary(a, b, lexicon))
        found[row] = max((one for one in said if one is not None), key=lambda one: one.llr)
    return [evidence for evidence in found if evidence is not None]


def _by_likeness(pairs: Sequence[Pair], lexicon: Lexicon) -> list[StringEvidence]:
    """What the learnt model says of each pair, within its caps."""
    texts = [_differing(a, b) for a, b in pairs]
    alike = cpdist(
        [one.letters for one, _ in texts],
        [other.letters for _, other in texts],
        scorer=JaroWinkler.similarity,
        dtype=np.float32,
    )
    result = [StringEvidence("none", UNLIKE)] * len(pairs)
    rows = np.flatnonzero(alike >= _TOO_UNLIKE).tolist()
    # Equal texts meet where only the words in common are written differently.
    rows = [row for row in rows if texts[row][0].letters and texts[row][1].letters]
    if not rows:
        return result
    table = features([texts[row] for row in rows], lexicon.lists)
    llr = np.logaddexp(
        np.log(_KIN_BY_SPELLING) + shipped_model().llr(table), np.log(1 - _KIN_BY_SPELLING)
    )
    kinds, llr = _capped(table, llr)
    for place, row in enumerate(rows):
        one, other = texts[row]
        value, kind = float(llr[place]), kinds[place]
        if _SYLLABLES.search(one.letters + other.letters):
            value = min(value, _SAME_HEAD)
        if value > _SIBLING and _are_siblings(one, other, int(table[place, _START]), lexicon):
            kind, value = "none", _SIBLING
        if len(one.words) < len(pairs[row][0].tokens) and kind != "typo":
            value = min(value, _SAME_HEAD)
        result[row] = StringEvidence(kind, max(value, UNLIKE))
    return result


_START = FEATURES.index("start")


def _differing(a: Form, b: Form) -> tuple[Text, Text]:
    """What differs: long words in common must not lend their length to it."""
    common = set(a.tokens) & set(b.tokens)
    if not common:
        return to_text(a), to_text(b)
    left, right = (tuple(token for token in form.tokens if token not in common) for form in (a, b))
    return Text("".join(left), left), Text("".join(right), right)


def _capped(
    table: Floats32, llr: NDArray[np.float64]
) -> tuple[list[Spelling], NDArray[np.float64]]:
    """The kind of each pair and its ratio, held down where it is known to mislead."""
    column = dict(zip(FEATURES, table.T, strict=True))
    near, clipped = column["distance"] <= 2, column["clipped"] > 0
    contained = column["contained"] > 0
    longer = column["longer"] - column["shorter"]
    stem, lists = column["endings"] == 1, column["known"] >= 0
    llr = np.where(
        stem, np.clip(llr, np.where(column["start"] >= 7, _STEM[1], _STEM[0]), _STEM[1]), llr
    )
    both = (column["known"] == BOTH_KNOWN) & ~stem
    caps = [
        (column["shorter"] <= 3, np.where(clipped, _PART_OF_WORD, _SHORT)),
        (contained, _PART_OF_WORD),
        # A word and what begins or ends with it: arrow and arrowshape; cam is cut, map is not.
        (contained & ~stem & (longer > 1) & (column["whole"] > 0), _COMPOUND),
        (clipped & ~stem & ~lists & (longer > 2), _CLIPPED),
        (column["endings"] == -1, _OTHER_STEM),
        (both, np.where(near, _TWO_WORDS, _TWO_WORDS_APART)),
        (~near & ~stem & ~clipped, _FAR),
        # Nobody knows whether these are two words, as short ones so alike often are.
        (~lists & ~stem, np.interp(column["longer"], *_BLIND)),
    ]
    for holds, most in caps:
        llr = np.where(holds, np.minimum(llr, most), llr)
    kinds: list[Spelling] = ["stem", "abbreviation", "typo", "part", "none"]
    chosen = np.select(
        [
            column["endings"] != 0,
            clipped & (longer > 1) & (llr > _COMPOUND),
            near & ~contained & (llr > 1.0),
            contained & (longer > 1) & (llr > 0),
            near & (llr > 1.0),
        ],
        [0, 1, 2, 3, 2],
        4,
    )
    return [kinds[place] for place in chosen.tolist()], llr


def _are_siblings(a: Text, b: Text, start: int, lexicon: Lexicon) -> bool:
    """Whether both are compounds of one word with different others: sunset, sunrise."""
    one, other = a.letters, b.letters
    if not lexicon.lists or min(len(one), len(other)) < 5:
        return False
    known = lexicon.lists.look_up
    for place in range(3, start + 1):
        rests = one[place:], other[place:]
        if min(map(len, rests)) >= 3 and known(one[:place])[0] and all(known(r)[0] for r in rests):
            return True
    for place in range(3, min(len(one), len(other)) - 2):
        if one[-place:] != other[-place:]:
            break
        rests = one[:-place], other[:-place]
        if min(map(len, rests)) >= 3 and known(one[-place:])[0] and all(known(r)[0] for r in rests):
            return True
    return False
