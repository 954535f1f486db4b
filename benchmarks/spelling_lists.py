"""Pairs of words to learn spelling from, read from public lists that packages provide.

Needed: ``pip install tagkin codespell`` and Debian's ``wordnet-base``, ``wamerican`` and
``wbritish``. Each list's licence is in ``docs/spelling.md``.
"""

import csv
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import cdist

from tagkin.variants.folding import make_form
from tagkin.variants.plurals import plural_llr
from tagkin.variants.spelling_features import endings
from tagkin.variants.thesauri import SYNONYM, WORDNET, strongest, wordnet_links
from tagkin.variants.word_lists import LANGUAGES, SYSTEM_DICT, WordLists, packaged_words

# Share of each kind among the tags that mean the same and are spelled alike: what people do to
# tags, not what lists are long in. The shares need not be exact: a factor of two is 0.7 of LLR.
KINDS: Final = {
    "typo": 0.18,
    "German typo": 0.06,
    "plural": 0.36,
    "irregular plural": 0.06,
    "German plural": 0.06,
    "GB/US": 0.06,
    "German spelling": 0.04,
    "stem": 0.12,
    "clipped": 0.06,
}
_STRATA = ((0.9, 1.0), (0.82, 0.1), (0.72, 0.008), (0.0, 0.0002))
"""Least Jaro-Winkler similarity, and the share of the pairs there that is drawn."""
_INFLECTIONS = frozenset(
    [
        *("", "e", "n", "s", "r", "m", "t", "en", "er", "es", "em", "st", "te", "ten", "tes"),
        *("ter", "tem", "est", "et", "d", "ed", "ing", "er's", "'s", "'", "in", "innen", "ere"),
        *("eren", "erer", "erem", "eres", "este", "esten", "ester", "estem", "estes"),
    ]
)
_MADE_OF = ("ing", "ness", "ist", "ists", "ism", "ian", "ed", "ings")
_KEYS = ("qwertzuiop", "asdfghjkl", "yxcvbnm")


@dataclass(frozen=True)
class Example:
    """One pair of words.

    Attributes:
        a: One word.
        b: The other; of a positive the correct, singular or full form.
        kind: One of `KINDS`, or "different".
        weight: How many pairs of its kind it stands for.
    """

    a: str
    b: str
    kind: str
    weight: float = 1.0


def is_held_out(word: str) -> bool:
    """Whether a word and all its pairs are kept for the test: one word in five."""
    return zlib.crc32(word.encode()) % 5 == 0


def word_lists(masked: float = 0.0) -> WordLists:
    """The packaged words; a share of them missing, as names and new words are."""
    limit = int(masked * 1000)
    return WordLists(
        {
            language: {
                word: count
                for word, count in packaged_words(language).items()
                if zlib.crc32(word.encode()) // 5 % 1000 >= limit
            }
            for language in LANGUAGES
        }
    )


def positives(lists: WordLists, typos: Iterable[Path], seed: int) -> Iterator[Example]:
    """Pairs that mean the same.

    Args:
        lists: Words of each language.
        typos: Further CSV files of ``typo,correct``.
        seed: Of the made-up typing errors.
    """
    yield from _codespell()
    for path in typos:
        with path.open(newline="", encoding="utf-8") as lines:
            yield from (
                Example(row[0], row[1], "typo") for row in csv.reader(lines) if len(row) > 1
            )
    yield from _english()
    yield from _german(lists, random.Random(seed))


def _codespell() -> Iterator[Example]:
    package = find_spec("codespell_lib")
    if package is None or package.origin is None:
        raise SystemExit("the list of typing errors is missing: pip install codespell")
    path = Path(package.origin).parent / "data" / "dictionary.txt"
    for line in path.read_text("utf-8").splitlines():
        typo, _, corrections = line.partition("->")
        first = corrections.split(",")[0].strip()
        if typo.isalpha() and first.isalpha():
            yield Example(typo.lower(), first.lower(), "typo")


def _english() -> Iterator[Example]:
    nouns = _nouns()
    american, british = (
        set((SYSTEM_DICT / name).read_text("utf-8").split())
        for name in ("american-english", "british-english")
    )
    for noun in sorted(nouns & american):
        if noun.isalpha() and len(noun) >= 3:
            for plural in (noun + "s", noun + "es", noun[:-1] + "ies"):
                if plural in american and plural_llr(noun, plural):
                    yield Example(plural, noun, "plural")
    for line in (WORDNET / "noun.exc").read_text("utf-8").splitlines():
        plural, single = line.split()[:2]
        if plural.isalpha() and single.isalpha() and plural != single:
            yield Example(plural, single, "irregular plural")
    for word in sorted(british - american):
        for reading in make_form(word).american - {word}:
            if word.isalpha() and reading in american:
                yield Example(word, reading, "GB/US")
    single_words = {noun for noun in nouns if noun.isalpha()} | american
    for (a, b), link in strongest(wordnet_links(single_words)).items():
        short, long = sorted((a, b), key=len)
        if link.relation == "opposite" or min(len(short), 3) < 3 or not (a + b).isalpha():
            continue
        start = len(_common_start(short, long))
        clipped = start == len(short) >= 3 and len(long) >= len(short) + 3 and link.llr == SYNONYM
        if clipped and not long.endswith(_MADE_OF):
            yield Example(short, long, "clipped")
        elif endings(short, long, start) == 1:
            yield Example(short, long, "stem")


def _german(lists: WordLists, rng: random.Random) -> Iterator[Example]:
    words = sorted(word for word in lists.counts["de"] if word.isalpha() and len(word) > 3)
    known = lists.counts["de"]
    for word in words:
        for old, new in (("ph", "f"), ("th", "t"), ("tial", "zial"), ("tiell", "ziell")):
            if old in word and len(word) > 5 and (other := word.replace(old, new)) in known:
                yield Example(word, other, "German spelling")
        for old, new in (("äu", "au"), ("ä", "a"), ("ö", "o"), ("ü", "u")):
            for ending in ("er", "e"):
                stem = word.removesuffix(ending)
                if stem != word and old in stem and stem.replace(old, new) in known:
                    yield Example(word, stem.replace(old, new), "German plural")
    for word in rng.sample(words, 12_000):
        typo = _slip(word, rng)
        if len(word) > 4 and typo not in known and typo not in lists.counts["en"]:
            yield Example(typo, word, "German typo")


def _slip(word: str, rng: random.Random) -> str:
    """A slip of the finger: a letter left out, doubled, swapped, or a neighbour hit."""
    place = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.3:
        return word[:place] + word[place + 1 :]
    if kind < 0.5:
        return word[:place] + word[place] + word[place:]
    if kind < 0.7:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    row = next((row for row in _KEYS if word[place] in row), word[place])
    at = row.index(word[place])
    near = row[max(at - 1, 0) : at] + row[at + 1 : at + 2]
    if word[place] in "aeiou" and rng.random() < 0.6:
        near = "aeiou".replace(word[place], "")
    return word[:place] + rng.choice(near or "e") + word[place + 1 :]


def negatives(lists: WordLists, related: set[frozenset[str]], seed: int) -> Iterator[Example]:
    """Pairs of common words, more of them the more alike, each with what it stands for.

    Args:
        lists: Words of each language.
        related: Pairs that mean the same after all.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    # Tags are nouns in their base form for the most part, so are the English ones here.
    nouns = _nouns()
    words = _common({word: lists.count(word, "en") or 0 for word in nouns}, 9_000, rng)
    german = {word: int(count) for word, count in lists.counts["de"].items()}
    words = sorted({*words, *_common(german, 6_000, rng)})
    block = 512
    for start in range(0, len(words), block):
        likeness = cdist(
            words[start : start + block], words, scorer=JaroWinkler.similarity, dtype=np.float32
        )
        # Each pair once.
        likeness[
            np.arange(len(words))[None] <= np.arange(start, start + len(likeness))[:, None]
        ] = 2
        above = 1.5
        for least, share in _STRATA:
            rows, columns = np.nonzero((likeness >= least) & (likeness < above))
            above = least
            kept = np.flatnonzero(rng.random(len(rows)) < share)
            for row, column in zip(rows[kept].tolist(), columns[kept].tolist(), strict=True):
                a, b = words[start + row], words[column]
                if frozenset((a, b)) not in related and not _inflected(a, b):
                    yield Example(a, b, "different", 1 / share)


def _common(counts: dict[str, int], size: int, rng: np.random.Generator) -> list[str]:
    words = [word for word in sorted(counts) if word.isalpha() and 3 <= len(word) <= 16]
    # Half the words of any text are the same few hundred; tags are rarer words.
    weight = np.array([counts[word] for word in words], float) ** 0.5
    size = min(size, int((weight > 0).sum()))
    chosen = rng.choice(len(words), size, replace=False, p=weight / weight.sum())
    return [words[place] for place in chosen]


def _nouns() -> set[str]:
    return {
        line.split(" ", 1)[0]
        for line in (WORDNET / "index.noun").read_text("utf-8").splitlines()
        if line[0] != " "
    }


def _inflected(a: str, b: str) -> bool:
    """Forms of one word, and other pairs of which a list can't tell whether they differ."""
    short, long = sorted((a, b), key=len)
    start = len(_common_start(short, long))
    if start >= 3 and {short[start:], long[start:]} <= _INFLECTIONS:
        return True
    if endings(short, long, start) == 1 or plural_llr(a, b) is not None:
        return True
    first, second = make_form(a), make_form(b)
    return bool(first.american & second.american)


def _common_start(short: str, long: str) -> str:
    place = 0
    while place < len(short) and short[place] == long[place]:
        place += 1
    return short[:place]


def weighted(examples: Sequence[Example]) -> list[Example]:
    """Positives with weights by kind, typing errors also by length.

    Lists of errors are long in long words; without this, length alone would speak for a typo.
    """
    usual = np.bincount([min(len(e.b), 18) for e in examples if e.kind == "plural"], minlength=19)
    typos = np.bincount([min(len(e.b), 18) for e in examples if e.kind == "typo"], minlength=19)
    by_length = np.clip((usual / usual.sum()) / np.maximum(typos / typos.sum(), 1e-6), 0.2, 5)
    raw = [
        float(by_length[min(len(e.b), 18)]) if e.kind.endswith("typo") else 1.0 for e in examples
    ]
    total: dict[str, float] = {}
    for example, weight in zip(examples, raw, strict=True):
        total[example.kind] = total.get(example.kind, 0.0) + weight
    return [
        Example(e.a, e.b, e.kind, weight * KINDS[e.kind] / total[e.kind])
        for e, weight in zip(examples, raw, strict=True)
    ]
