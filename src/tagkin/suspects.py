"""Images whose tags disagree most with a tagger: tags that they seem to lack, or to carry wrongly.

The tagger's probability of a tag on an image is compared with the tag's threshold, in log odds, so
that frequent and rare tags can be compared (see `tagkin.head.margins`). A tag that is far above it
and not there may be missing; one that is there and far below may be wrong, if the tagger knows the
tag: it finds at least half of the images that carry it. (Of what it hasn't learned it is sure
nowhere.) Where a tagger counts the tags of the nearest training images, an image that it remembers
doesn't count for itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tagkin.head import margins, sigmoid
from tagkin.tagger import Tagger

SuspectKind = Literal["missing", "wrong"]

_ROWS = 1024  # images whose scores are held at once
_PER_TAG = 100  # of each kind; a tag with more has them all at the top of its list
_MOST = 200_000  # of both kinds
_PRUNE_AT = 500_000  # candidates


@dataclass(frozen=True)
class Suspect:
    """A tag of an image that the tagger doubts.

    Attributes:
        image: Id of the image.
        tag: As the tagger's rules see it.
        kind: ``missing`` if the image seems to lack the tag, ``wrong`` if it carries it.
        score: The tag's probability.
        threshold: The tag's threshold.
        margin: How far the score is above the threshold, in log odds; below 0 if below.
    """

    image: str
    tag: str
    kind: SuspectKind
    score: float
    threshold: float
    margin: float


def find_suspects(
    tagger: Tagger,
    blocks: Iterable[tuple[Sequence[str], NDArray[np.float16]]],
    tags_of: Callable[[str], Sequence[str]],
    *,
    excluded: Iterable[str] = (),
    seen: Callable[[int], None] = lambda _: None,
) -> list[Suspect]:
    """Compares what images carry with what a tagger says, a block of vectors at a time.

    Args:
        tagger: The tagger, seen through the rules by which ``tags_of`` names tags.
        blocks: Ids with vectors, float16 of shape (images, dimension).
        tags_of: Returns the tags of an image, which may be unknown to the tagger.
        excluded: Tags that nobody wants to see.
        seen: Called with the number of images behind each step.

    Returns:
        The suspects of both kinds, the greatest margins first; at most 100 of each tag and kind,
        and 200,000 in all.
    """
    judge = _Judge(tagger, frozenset(excluded))
    found: dict[SuspectKind, _Candidates] = {
        "missing": _Candidates(len(judge.tags)),
        "wrong": _Candidates(len(judge.tags)),
    }
    images: list[str] = []
    for ids, vectors in blocks:
        for start in range(0, len(ids), _ROWS):
            some = ids[start : start + _ROWS]
            scores, margin = judge.scores(vectors[start : start + _ROWS])
            carried = judge.carried([tags_of(image) for image in some])
            missing = np.where(carried | judge.unwanted, -np.inf, margin)
            wrong = np.where(carried, -margin, -np.inf)
            judge.count(carried, margin)
            found["missing"].add(len(images), missing, scores)
            found["wrong"].add(len(images), wrong, scores)
            images.extend(some)
            seen(len(some))
    suspects = [
        judge.suspect(images[image], column, kind, strength, score)
        for kind, candidates in found.items()
        for image, column, strength, score in candidates.best()
        if kind == "missing" or judge.knows(column)
    ]
    suspects.sort(key=lambda one: (-abs(one.margin), one.image, one.tag))
    return suspects[:_MOST]


class _Judge:
    """A tagger's outputs by the names that its tags have now."""

    def __init__(self, tagger: Tagger, excluded: frozenset[str]) -> None:
        self._tagger = tagger
        self.tags = list(dict.fromkeys(tagger.names))
        self._column = {tag: column for column, tag in enumerate(self.tags)}
        # The outputs of tags that have become one, side by side; the surest of them speaks.
        columns = np.array([self._column[name] for name in tagger.names], np.int64)
        self._order = np.argsort(columns, kind="stable")
        self._starts = np.searchsorted(columns[self._order], np.arange(len(self.tags)))
        self._thresholds: NDArray[np.float32] = tagger.thresholds
        self._images = np.zeros(len(self.tags), np.int64)
        self._recalled = np.zeros(len(self.tags), np.int64)
        self.unwanted = np.array([not tag or tag in excluded for tag in self.tags], bool)

    def scores(
        self, vectors: NDArray[np.float16]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns margins by output and by tag.

        Returns:
            Probabilities and margins, both float32 of shape (images, tags).
        """
        logits = self._tagger.head.logits(vectors)
        if self._tagger.neighbours is not None:
            logits += self._tagger.neighbours.logits(vectors, without_itself=True)
        scores = sigmoid(logits)
        margin = margins(scores, self._thresholds)
        if len(self._order) == len(self.tags):
            return scores, margin
        return (
            np.maximum.reduceat(scores[:, self._order], self._starts, axis=1),
            np.maximum.reduceat(margin[:, self._order], self._starts, axis=1),
        )

    def count(self, carried: NDArray[np.bool_], margin: NDArray[np.float32]) -> None:
        """Counts the images of each tag, and those of them where it is at its threshold."""
        self._images += carried.sum(axis=0)
        self._recalled += (carried & (margin >= 0)).sum(axis=0)

    def knows(self, column: int) -> bool:
        """Returns whether a tag is at its threshold on at least half of its images."""
        return bool(2 * self._recalled[column] >= self._images[column])

    def carried(self, image_tags: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
        """Returns whether each image carries each tag, of shape (images, tags)."""
        carried = np.zeros((len(image_tags), len(self.tags)), bool)
        for row, tags in enumerate(image_tags):
            carried[row, [self._column[tag] for tag in tags if tag in self._column]] = True
        return carried

    def suspect(
        self, image: str, column: int, kind: SuspectKind, strength: float, score: float
    ) -> Suspect:
        """Puts a candidate into words."""
        end = self._starts[column + 1] if column + 1 < len(self.tags) else len(self._order)
        outputs = self._order[self._starts[column] : end]
        threshold = float(self._thresholds[outputs].min())
        return Suspect(
            image=image,
            tag=self.tags[column],
            kind=kind,
            score=score,
            threshold=threshold,
            margin=strength if kind == "missing" else -strength,
        )


class _Candidates:
    """The strongest images of each tag so far."""

    def __init__(self, tags: int) -> None:
        self._least = np.zeros(tags, np.float32)  # what a tag's images have to be above
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._count = 0

    def add(self, first: int, strength: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
        rows, columns = np.nonzero(strength > self._least)
        found = (
            rows + first,
            columns,
            strength[rows, columns],
            scores[rows, columns],
        )
        self._parts.append(found)
        self._count += len(rows)
        if self._count > _PRUNE_AT:
            self._prune()

    def _prune(self) -> None:
        parts = zip(*self._parts, strict=True)
        images, columns, strength, scores = (np.concatenate(part) for part in parts)
        order = np.lexsort((images, -strength, columns))
        ordered = columns[order]
        rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        kept = order[rank < _PER_TAG]
        full = order[rank == _PER_TAG - 1]
        self._least[columns[full]] = strength[full]
        self._parts = [(images[kept], columns[kept], strength[kept], scores[kept])]
        self._count = len(kept)

    def best(self) -> list[tuple[int, int, float, float]]:
        """Returns images, tags, how far they are from the threshold, and probabilities."""
        if not self._parts:
            return []
        self._prune()
        return list(zip(*(part.tolist() for part in self._parts[0]), strict=True))
