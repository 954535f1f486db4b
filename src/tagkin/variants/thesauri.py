"""What dictionaries of the system say of pairs of words: synonyms, translations, opposites.

Read when present, from where Debian puts them: WordNet (``wordnet-base``), thesauri in the format
of MyThes (``mythes-de``, ``mythes-en-us``) and Frank Richter's German-English list
(``trans-de-en``). Only pairs of which both words are asked for are kept. A log-likelihood ratio
starts from what a clear case is worth and falls with the place among a word's senses: the tenth
meaning of ``study`` says little. Synonyms count for less than translations: who uses both of two
English words, elk and moose, mostly tells them apart.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

Relation = Literal["synonym", "translation", "opposite", "typo", "yours"]

TRANSLATION: Final = 8.0
SYNONYM: Final = 4.0
PERTAINING: Final = 3.5
SAME_ENTRY: Final = 3.5
OPPOSITE: Final = -5.0
_LATER_SENSE = 0.8
_LEAST = 1.5

WORDNET: Final = Path("/usr/share/wordnet")
MYTHES: Final = Path("/usr/share/mythes")
TRANSLATIONS: Final = Path("/usr/share/trans/de-en")

_PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
# Tags name things: that dog may mean to tail somebody is no reason to merge the two.
_LESS_FOR = {"noun": 0.0, "adj": 0.5, "verb": 2.0, "adv": 2.0}
_NOTES = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|<[^>]*>|…")
_BREAKS = bytes.maketrans(b";|/()[]{},-", b" " * 11)
_SPACED = bytes.maketrans(b"_-", b"  ")
_BROADER = re.compile(r"\((?:generic|related|similar) term\)|\((?:ober|unter)begriff\)")
_MOST_SENSES = 50


class Link(NamedTuple):
    """One statement about two words; the words are in no order."""

    a: str
    b: str
    relation: Relation
    llr: float


@dataclass(frozen=True)
class _Sense:
    """One meaning of a word: its place among the word's meanings, the commonest first."""

    word: str
    place: int


def wordnet_links(words: Collection[str], folder: Path = WORDNET) -> Iterator[Link]:
    """Synonyms, antonyms and adjectives of nouns (lunar, moon) in WordNet's database files.

    Args:
        words: In lower case, the parts of a phrase apart by spaces.
        folder: With ``index.noun``, ``data.noun`` and so on; see wndb(5WN).
    """
    wanted = {word.encode("utf-8", "replace") for word in words}
    for part in _PARTS:
        senses: dict[int, list[_Sense]] = defaultdict(list)
        index, data = folder / f"index.{part}", folder / f"data.{part}"
        try:
            with index.open("rb") as lines:
                for line in lines:
                    if line.split(b" ", 1)[0].translate(_SPACED) not in wanted:
                        continue
                    fields = line.decode("utf-8", "replace").split()
                    word, count = spaced(fields[0]), int(fields[2])
                    for place, offset in enumerate(fields[-count:]):
                        senses[int(offset)].append(_Sense(word, place))
        except (OSError, ValueError, IndexError, OverflowError):
            continue
        for members in senses.values():
            for one, other in combinations(members, 2):
                llr = SYNONYM - _LESS_FOR[part] - _LATER_SENSE * (one.place + other.place)
                yield Link(one.word, other.word, "synonym", max(llr, _LEAST))
        yield from _wordnet_pointers(senses, data, folder)


def wordnet_nouns(words: Collection[str], folder: Path = WORDNET) -> frozenset[str]:
    """Those of the words that are nouns with an entry of their own.

    Args:
        words: In lower case, the parts of a phrase apart by spaces.
        folder: With ``index.noun``.
    """
    try:
        lines = (folder / "index.noun").read_bytes().split(b"\n")
    except OSError:
        return frozenset()
    entries = (line.split(b" ", 1)[0].decode("utf-8", "replace") for line in lines)
    return frozenset(word for entry in entries if (word := spaced(entry)) in words)


def _wordnet_pointers(senses: dict[int, list[_Sense]], data: Path, folder: Path) -> Iterator[Link]:
    try:
        lines = data.open("rb")
    except OSError:
        return
    with lines:
        for offset, members in senses.items():
            try:
                words, pointers = _synset(lines, offset)
                for symbol, target, part, numbers in pointers:
                    if symbol not in {"!", "\\"}:
                        continue
                    path = folder / f"data.{next(n for n, p in _PARTS.items() if p == part)}"
                    with path.open("rb") as others:
                        targets, _ = _synset(others, target)
                    source, meant = (
                        words[int(numbers[:2], 16) - 1],
                        targets[int(numbers[2:], 16) - 1],
                    )
                    place = min((s.place for s in members if s.word == source), default=None)
                    if place is None:
                        continue
                    if symbol == "!":
                        yield Link(source, meant, "opposite", OPPOSITE)
                    else:
                        llr = max(PERTAINING - _LATER_SENSE * place, _LEAST)
                        yield Link(source, meant, "synonym", llr)
            except (OSError, ValueError, IndexError, OverflowError, StopIteration):
                continue


def _synset(lines: BinaryIO, offset: int) -> tuple[list[str], list[tuple[str, int, str, str]]]:
    """The words of a synset and its pointers: symbol, offset, part of speech, word numbers."""
    lines.seek(offset)
    fields = lines.readline().decode("utf-8", "replace").split()
    count = int(fields[3], 16)
    # An adjective may carry its place in the sentence: afraid(p).
    words = [
        spaced(re.sub(r"\(\w+\)$", "", field)).lower() for field in fields[4 : 4 + 2 * count : 2]
    ]
    start = 5 + 2 * count
    pointers = []
    for place in range(start, start + 4 * int(fields[start - 1]), 4):
        symbol, target, part, numbers = fields[place : place + 4]
        pointers.append((symbol, int(target), "a" if part == "s" else part, numbers))
    return words, pointers


def mythes_links(words: Collection[str], folder: Path = MYTHES) -> Iterator[Link]:
    """Synonyms in the thesauri of LibreOffice: ``th_*.dat`` with their ``th_*.idx``.

    Args:
        words: In lower case, the parts of a phrase apart by spaces.
        folder: With the thesauri of any language.
    """
    for index in sorted(folder.glob("th_*.idx")):
        places: dict[tuple[str, str], float] = {}
        try:
            encoding = index.read_bytes().split(b"\n", 1)[0].decode("ascii").strip() or "utf-8"
            entries = index.read_text(encoding, errors="replace").splitlines()[2:]
            with index.with_suffix(".dat").open("rb") as data:
                for entry in entries:
                    word, _, offset = entry.rpartition("|")
                    if spaced(word) not in words:
                        continue
                    data.seek(int(offset))
                    count = int(data.readline().rsplit(b"|", 1)[1])
                    for place in range(min(count, _MOST_SENSES)):
                        line = data.readline().decode(encoding, "replace").lower()
                        for other, opposite in _mythes_sense(line, words):
                            if opposite:
                                yield Link(spaced(word), other, "opposite", OPPOSITE)
                            elif other != spaced(word):
                                less = _LESS_FOR["verb"] if line.startswith("(verb)") else 0.0
                                pair = (spaced(word), other)
                                later = less + _LATER_SENSE * place
                                places[pair] = min(later, places.get(pair, later))
        except (OSError, ValueError, LookupError, OverflowError):
            pass  # a damaged thesaurus says what was read before the damage
        for (word, other), later in places.items():
            back = places.get((other, word), 2 * _LATER_SENSE)
            yield Link(word, other, "synonym", max(SYNONYM - later - back, _LEAST))


def _mythes_sense(line: str, words: Collection[str]) -> Iterator[tuple[str, bool]]:
    """The words of one sense that were asked for, and whether they are its opposites."""
    for entry in line.rstrip("\n").split("|")[1:]:
        other = _clean(entry)
        if other in words and not _BROADER.search(entry):
            yield other, "(antonym)" in entry


def translation_links(words: Collection[str], path: Path = TRANSLATIONS) -> Iterator[Link]:
    """German-English translations, and synonyms that one entry offers side by side.

    Args:
        words: In lower case.
        path: A list in the format of Ding: ``Katze {f} | Katzen {pl} :: cat; feline | cats``.
    """
    tokens = {token.encode("utf-8", "replace") for word in words for token in word.split()}
    try:
        text = path.read_text("utf-8", errors="replace").lower()
    except OSError:
        return
    # A quick look before the slow one: few lines have two words that were asked for.
    broken = text.encode("utf-8", "replace").translate(_BREAKS).split(b"\n")
    for line, parts in zip(text.split("\n"), broken, strict=True):
        if len(tokens.intersection(parts.split())) < 2:
            continue
        german, _, english = line.partition("::")
        for left, right in zip(german.split("|"), english.split("|"), strict=False):
            ours = _alternatives(left, words)
            theirs = _alternatives(right, words)
            for side in (ours, theirs):
                for (one, first), (other, second) in combinations(side, 2):
                    llr = max(SAME_ENTRY - 0.5 * (first + second), _LEAST)
                    yield Link(one, other, "synonym", llr)
            for one, first in ours:
                for other, second in theirs:
                    llr = max(TRANSLATION - 0.5 * (first + second), _LEAST)
                    yield Link(one, other, "translation", llr)


def _alternatives(text: str, words: Collection[str]) -> list[tuple[str, int]]:
    found = ((_clean(part), place) for place, part in enumerate(text.split(";")))
    return [(word, place) for word, place in found if word in words]


def _clean(text: str) -> str:
    return " ".join(spaced(_NOTES.sub(" ", text)).split()).removeprefix("to ")


def spaced(word: str) -> str:
    """Underscores and hyphens as spaces."""
    return word.replace("_", " ").replace("-", " ")


def strongest(links: Iterable[Link]) -> dict[tuple[str, str], Link]:
    """One link for each pair of words, in sorted order: an opposite if any, else the best."""
    best: dict[tuple[str, str], Link] = {}
    for link in links:
        if link.a == link.b:
            continue
        key = (link.a, link.b) if link.a < link.b else (link.b, link.a)
        known = best.get(key)
        if known is None or (link.relation == "opposite", link.llr) > (
            known.relation == "opposite",
            known.llr,
        ):
            best[key] = link
    return best
