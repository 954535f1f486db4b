"""Which words English and German have: word lists of a package and of the system, and a user's own.

The words of the package pyspellchecker come with how often films say them; a system's word list
(Debian's wamerican, wbritish, wngerman) has no counts. None is required.
"""

import gzip
import re
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

SYSTEM_DICT: Final = Path("/usr/share/dict")
_SYSTEM_FILES: dict[Language, tuple[str, ...]] = {
    "en": ("american-english", "british-english"),
    "de": ("ngerman",),
}
_COUNTED = re.compile(r'"([^"\\]+)": (\d+)')
_UNCOUNTED = "1"
# German joins nouns at will, so no list has them all: Wetterkarte, Sonnenblumenkern.
_SHORTEST_PART = 4
_JOINTS = ("", "s", "n", "en", "es")


class WordLists:
    """Words of each language with their counts.

    Attributes:
        counts: For each language its words, in lower case, and how often they were counted, as
            numbers or as their digits: half a million need not be converted to look up a few.
    """

    def __init__(self, counts: Mapping[Language, Mapping[str, int | str]]) -> None:
        self.counts = {language: words for language, words in counts.items() if words}
        self._known: dict[str, tuple[frozenset[Language], int]] = {}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def count(self, word: str, language: Language) -> int | None:
        """How often the language says the word; None if it doesn't know it.

        Umlauts may be written out (haeuser), and a German compound is as frequent as its rarer
        part.
        """
        words = self.counts.get(language)
        if words is None:
            return None
        readings = _readings(word) if language == "de" else (word,)
        found = [int(words[reading]) for reading in readings if reading in words]
        if not found and language == "de":
            found = [count for reading in readings if (count := _compound(reading, words))]
        return max(found, default=None)

    def look_up(self, word: str) -> tuple[frozenset[Language], int]:
        """The languages that know a word, and its greatest count; nothing and 0 if none does."""
        known = self._known.get(word)
        if known is None:
            counts = {
                language: count
                for language in self.counts
                if (count := self.count(word, language)) is not None
            }
            known = self._known[word] = frozenset(counts), max(counts.values(), default=0)
        return known


@cache
def installed_word_lists() -> WordLists:
    """The word lists found on this machine; they may be none. Read once."""
    return WordLists(
        {
            language: {**_system_words(language), **packaged_words(language)}
            for language in LANGUAGES
        }
    )


def packaged_words(language: Language) -> dict[str, str]:
    """The words of pyspellchecker with their counts; none if it isn't installed or has moved."""
    # Its own class would build a table that takes four times as long as reading the words.
    package = find_spec("spellchecker")
    if package is None or package.origin is None:
        return {}
    path = Path(package.origin).parent / "resources" / f"{language}.json.gz"
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return {}
    return dict(_COUNTED.findall(text))


def _system_words(language: Language) -> dict[str, str]:
    words: dict[str, str] = {}
    for name in _SYSTEM_FILES[language]:
        try:
            text = (SYSTEM_DICT / name).read_text("utf-8", errors="replace")
        except OSError:
            continue
        words.update(dict.fromkeys(text.lower().split(), _UNCOUNTED))
    return words


def _readings(word: str) -> tuple[str, ...]:
    umlauts = word
    for written, umlaut in (("ae", "ä"), ("oe", "ö"), ("ue", "ü")):
        umlauts = umlauts.replace(written, umlaut)
    return tuple(dict.fromkeys((word, umlauts, umlauts.replace("ss", "ß"))))


def _compound(word: str, words: Mapping[str, int | str]) -> int:
    best = 0
    for place in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
        tail = int(words.get(word[place:], 0))
        if tail <= best:
            continue
        for joint in _JOINTS:
            head = word[:place].removesuffix(joint) if joint else word[:place]
            if len(head) >= _SHORTEST_PART and word[:place] == head + joint:
                best = max(best, min(tail, int(words.get(head, 0))))
    return best
