"""Suspects, worked out once for each tagger in the background, while pages say how far it is."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import TagkinError
from tagkin.records import is_in
from tagkin.similarity import Collection
from tagkin.suspects import Suspect, SuspectKind, find_suspects
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules
from tagkin.web.loaded import Loaded, Predictor

_TAGS = 50  # to choose from


@dataclass(frozen=True)
class SuspectState:
    """How far it is.

    Attributes:
        found: The suspects; None while they are worked out.
        progress: From 0 to 1.
        error: Why it failed, in words.
    """

    found: tuple[Suspect, ...] | None
    progress: float
    error: str | None = None


@dataclass(frozen=True)
class OpenSuspects:
    """Suspects of one kind that wait for an answer.

    Attributes:
        suspects: The most certain first.
        tags: Those with the most suspects.
    """

    suspects: tuple[Suspect, ...]
    tags: tuple[str, ...]


class SuspectSearch:
    """Works suspects out when they are first asked for, and again for another tagger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: tuple[str, int] | None = None
        self._state = SuspectState(None, 0.0)
        self._seen = 0
        self._open: dict[str, tuple[object, EditedTags, TagRules, OpenSuspects]] = {}

    def of(self, loaded: Loaded, predictor: Predictor) -> SuspectState:
        """Returns the suspects, or how far they are."""
        vectors = predictor.stored.version if predictor.stored else 0
        wanted = (predictor.name, vectors)
        with self._lock:
            if self._of != wanted:
                self._of = wanted
                self._state = SuspectState(None, 0.0)
                self._seen = 0
                work = threading.Thread(
                    target=self._work,
                    args=(loaded.collection, predictor, wanted),
                    name="suspects",
                    daemon=True,
                )
                work.start()
            return self._state

    def still_open(
        self, found: tuple[Suspect, ...], kind: SuspectKind, edited: EditedTags, rules: TagRules
    ) -> OpenSuspects:
        """Returns the suspects whose tag nobody has edited since.

        Args:
            found: All suspects.
            kind: Which of them.
            edited: The edits as they are now.
            rules: The rules as they are now.
        """
        with self._lock:
            known = self._open.get(kind)
        if known and known[0] is found and known[1] is edited and known[2] is rules:
            return known[3]
        left = tuple(
            one for one in found if one.kind == kind and not _is_edited(one, edited, rules)
        )
        most = Counter(rules.resolve(one.tag) for one in left).most_common(_TAGS)
        made = OpenSuspects(left, tuple(tag for tag, _ in most))
        with self._lock:
            self._open[kind] = found, edited, rules, made
        return made

    @property
    def working(self) -> float | None:
        """How far it is, from 0 to 1; None if nothing is worked out."""
        with self._lock:
            busy = self._of is not None and self._state.found is None and not self._state.error
            return self._state.progress if busy else None

    def _work(self, collection: Collection, predictor: Predictor, of: tuple[str, int]) -> None:
        total = max(1, len(predictor.stored) if predictor.stored else 0)

        def seen(images: int) -> None:
            self._seen += images
            self._tell(of, SuspectState(None, min(1.0, self._seen / total)))

        def tags_of(image: str) -> tuple[str, ...]:
            return collection.tags_at(collection.position(image))

        try:
            blocks = known_blocks(collection, predictor)
            found = find_suspects(
                predictor.tagger, blocks, tags_of, excluded=collection.rules.excluded, seen=seen
            )
            self._tell(of, SuspectState(tuple(found), 1.0))
        except TagkinError as error:
            self._tell(of, SuspectState(None, 0.0, str(error)))

    def _tell(self, of: tuple[str, int], state: SuspectState) -> None:
        with self._lock:
            if self._of == of:  # or another tagger has come meanwhile
                self._state = state


def _is_edited(suspect: Suspect, edited: EditedTags, rules: TagRules) -> bool:
    if suspect.image not in edited:
        return False
    name = rules.resolve(suspect.tag)
    return any(rules.resolve(one.tag) == name for one in edited.of(suspect.image))


def known_blocks(
    collection: Collection, predictor: Predictor
) -> Iterator[tuple[list[str], NDArray[np.float16]]]:
    """Yields the vectors of images that still have a file, each image once, with their ids."""
    stored = predictor.stored
    if stored is None:
        return
    places = stored.first_places
    places = places[is_in(stored.ids[places], collection.ids)]
    for some, block in stored.blocks_of(places):
        yield [image.decode("ascii") for image in stored.ids[places[some]].tolist()], block
