"""What is known of the words of one collection: who knows them, and what links two of them.

Nothing is required. Word lists and dictionaries are read when they are there, a user's own file of
synonyms when it is given; without any, every question has the answer "not known".
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from tagkin.variants import thesauri
from tagkin.variants.folding import Form, make_form
from tagkin.variants.synonyms_file import read_synonyms
from tagkin.variants.thesauri import (
    Link,
    mythes_links,
    spaced,
    strongest,
    translation_links,
    wordnet_links,
    wordnet_nouns,
)
from tagkin.variants.word_lists import LANGUAGES, WordLists, installed_word_lists

_YOURS = 9.5
_KNOWN_TYPO = 9.5
_OTHER_NUMBER = 0.5
"""A dictionary has singulars; that houses are Häuser follows from it with a little less surety."""


class Lexicon:
    """The words of a collection and what word lists and dictionaries say of them.

    Attributes:
        lists: Words of each language with their counts.
    """

    def __init__(
        self,
        lists: WordLists,
        links: Mapping[tuple[str, str], Link] | None = None,
        headwords: Iterable[str] = (),
    ) -> None:
        """Holds what was found.

        Args:
            lists: Words of each language.
            links: For pairs of phrases in sorted order what a dictionary says.
            headwords: Nouns that a dictionary explains under this very form.
        """
        self.lists = lists
        self._links = dict(links or {})
        self._headwords = frozenset(headwords)

    def link(self, a: Form, b: Form) -> Link | None:
        """What a dictionary, or the user's file, says of two tags."""
        if not self._links:
            return None
        first, second = phrase(a), phrase(b)
        return self._links.get((first, second) if first < second else (second, first))

    def links(self) -> Iterator[Link]:
        """All links, to find candidates."""
        return iter(self._links.values())

    def is_word(self, form: Form) -> bool:
        """Whether one language knows all words of a tag."""
        return bool(self.lists) and bool(
            frozenset(LANGUAGES).intersection(
                *(self.lists.look_up(token)[0] for token in form.tokens)
            )
        )

    def is_headword(self, word: str) -> bool:
        """Whether a dictionary has an entry for just this form: glasses, woods, not icons."""
        return word in self._headwords


NO_LEXICON = Lexicon(WordLists({}))


def phrase(form: Form) -> str:
    """A tag as dictionaries have it: its words in lower case, apart by spaces."""
    return " ".join(form.tokens)


def open_lexicon(
    forms: Iterable[Form], synonyms: Path | None = None, *, installed: bool = True
) -> Lexicon:
    """Looks up the tags in all that is there.

    Args:
        forms: All tags of the collection.
        synonyms: A user's own file; see `read_synonyms`.
        installed: Whether to read what is installed on this machine.

    Raises:
        SettingsError: The user's file can't be read.
    """
    index = _Index(forms)
    found: dict[tuple[str, str], Link] = {}
    lists, headwords = WordLists({}), frozenset[str]()
    if installed:
        links = chain(
            wordnet_links(index.words, thesauri.WORDNET),
            mythes_links(index.words, thesauri.MYTHES),
            translation_links(index.words, thesauri.TRANSLATIONS),
            _known_typos(index.words),
        )
        found = strongest(index.resolve(links))
        lists = installed_word_lists()
        plurals = {word for word in index.words if word.endswith("s")}
        headwords = wordnet_nouns(plurals, thesauri.WORDNET)
    if synonyms is not None:
        found.update(strongest(_users(index, read_synonyms(synonyms))))
    return Lexicon(lists, found, headwords)


class _Index:
    """The phrases of a collection under each form that a dictionary may have them in."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._by_form: dict[str, dict[str, float]] = {}
        for form in forms:
            name = phrase(form)
            self._add(name, name, 0.0)
            for written, umlaut in (("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß")):
                if written in name:
                    self._add(name.replace(written, umlaut), name, 0.0)
            for ending, single in (("ies", "y"), ("es", ""), ("s", "")):
                if name.endswith(ending) and len(name) > len(ending) + 2 and name[-2:] != "ss":
                    self._add(name.removesuffix(ending) + single, name, _OTHER_NUMBER)

    def _add(self, word: str, name: str, less: float) -> None:
        names = self._by_form.setdefault(word, {})
        names[name] = min(less, names.get(name, less))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every form under which a tag may be found."""
        return frozenset(self._by_form)

    def resolve(self, links: Iterable[Link]) -> Iterator[Link]:
        """Links between the tags themselves."""
        for link in links:
            for a, less in self._by_form.get(link.a, {}).items():
                for b, also in self._by_form.get(link.b, {}).items():
                    # Two plurals differ as little as their singulars.
                    llr = link.llr - (abs(less - also) if link.llr > 0 else 0.0)
                    yield link._replace(a=a, b=b, llr=llr)

    def names(self, word: str) -> list[str]:
        """The tags of just this phrase."""
        return [name for name, less in self._by_form.get(word, {}).items() if less == 0]


def _users(index: _Index, groups: Iterable[tuple[str, ...]]) -> Iterator[Link]:
    for group in groups:
        names = [name for word in group for name in index.names(phrase(make_form(word.casefold())))]
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                yield Link(one, other, "yours", _YOURS)


def _known_typos(words: frozenset[str]) -> Iterator[Link]:
    """Typing errors that codespell lists, if it happens to be installed."""
    package = find_spec("codespell_lib")
    if package is None or package.origin is None:
        return
    path = Path(package.origin).parent / "data" / "dictionary.txt"
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        typo, _, corrections = line.lower().partition("->")
        if typo in words:
            for word in corrections.split(","):
                if spaced(word.strip()) in words:
                    yield Link(typo, spaced(word.strip()), "typo", _KNOWN_TYPO)
