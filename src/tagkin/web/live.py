"""Decisions and edits as they are now: few, quickly read, and always up to date."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tagkin.decisions import Decision, in_force
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.tag_edits import EditedTags, TagEdit
from tagkin.vocabulary import TagRules

_LIVE_FOR = 0.25  # seconds, in which they are not looked at again


@dataclass(frozen=True)
class Live:
    """Decisions and edits, and what follows from them.

    Attributes:
        decisions: All of them.
        edits: All of them.
        rules: How raw tags are read after the decisions.
        edited: The tags of images after the edits.
        standing: Numbers of the decisions that nobody took back.
    """

    decisions: tuple[Decision, ...]
    edits: tuple[TagEdit, ...]
    rules: TagRules
    edited: EditedTags
    standing: frozenset[int]

    @classmethod
    def read(cls, library: Library, settings: Settings) -> "Live":
        """Reads them.

        Raises:
            LibraryError: They can't be read.
        """
        decisions, edits = tuple(library.decisions()), tuple(library.tag_edits())
        rules = TagRules.from_settings(settings, decisions)
        standing = frozenset(one.number for one in in_force(decisions))
        return cls(decisions, edits, rules, EditedTags(edits, rules), standing)

    @cached_property
    def other_names(self) -> Mapping[str, tuple[str, ...]]:
        """The names that stand for each tag, by alias or by merge."""
        names: dict[str, list[str]] = defaultdict(list)
        for other in sorted({*map(self.rules.fold, self.rules.aliases), *self.rules.merges}):
            if (name := self.rules.resolve(other)) != other:
                names[name].append(other)
        return {name: tuple(others) for name, others in names.items()}


class LiveLists:
    """Reads decisions and edits again when there are new ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: tuple[tuple[int, ...], Live] | None = None
        self._looked = -1.0

    def get(self, library: Library, *, surely: bool = False) -> Live:
        """Returns them.

        Args:
            library: Whose they are.
            surely: Whether to look now; else those of a moment ago do.
        """
        known, now = self._known, time.monotonic()
        if known and not surely and now - self._looked < _LIVE_FOR:
            return known[1]
        versions = library.versions()[1:]
        if known is None or known[0] != versions:
            known = versions, Live.read(library, self._settings)
            self._known = known
        self._looked = now
        return known[1]

    def changed(self) -> None:
        """Says that something was added, so that the next one looks."""
        self._looked = -1.0
