"""Proposed merges one at a time, with the images of each tag, the evidence and the effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from tagkin.variants.explain import explain
from tagkin.web.problems import NotFoundError
from tagkin.web.queue import Item, ReviewQueue
from tagkin.web.services.cards import ImageCard
from tagkin.web.services.deciding import DecisionView, decision_views
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.services.search import cards
from tagkin.web.state import WebState

Which = Literal["open", "decided"]
Relation = Literal["variant", "implication", "same-images", "related"]
Places = NDArray[np.int64]

_LOOKED_AT = 10_000  # images of a tag, to find some that carry none of the others


@dataclass(frozen=True)
class TagSide:
    """One tag of a proposal.

    Attributes:
        tag: Its name.
        count: Images that carry it now.
        now: Its name after the decisions taken since; the same if it wasn't renamed.
        images: Some of its images, those without the other tags first.
    """

    tag: str
    count: int
    now: str
    images: tuple[ImageCard, ...]


@dataclass(frozen=True)
class PairEvidence:
    """Why two tags of a proposal were thought to be one.

    Attributes:
        a: A tag.
        b: The other.
        relation: ``variant``, ``implication``, ``same-images`` or ``related``.
        probability: That they mean the same; None if nobody worked it out.
        text: In plain words.
    """

    a: str
    b: str
    relation: str
    probability: float | None
    text: str


@dataclass(frozen=True)
class Proposal:
    """Tags proposed for merging, or two tags that are related in another way.

    Attributes:
        id: Short and stable: depends on the tags only.
        relation: What was proposed: ``variant`` for a merge.
        state: ``open`` or ``decided``.
        tier: ``safe`` or ``suggested``.
        canonical: The name that would be kept.
        tags: The tags, that on more images first; of an implication the general one first.
        probability: That all mean the same: the lowest of its pairs; None if nobody worked it out.
        evidence: Of each pair of which something is known.
        change: What accepting it would change, in plain words.
        images: Images that would get another tag.
        decisions: In force between its tags.
    """

    id: str
    relation: Relation
    state: Which
    tier: str
    canonical: str
    tags: tuple[TagSide, ...]
    probability: float | None
    evidence: tuple[PairEvidence, ...]
    change: str
    images: int
    decisions: tuple[DecisionView, ...]


@dataclass(frozen=True)
class ReviewPage:
    """A page of the queue, the most certain first.

    Attributes:
        proposals: Of this page.
        open: Proposals that wait for a decision.
        decided: Proposals that were decided.
        next: Cursor of the following page; None behind the last one.
        note: What to do if there is nothing to review, in words; None if there is.
    """

    proposals: tuple[Proposal, ...]
    open: int
    decided: int
    next: str | None
    note: str | None


def review_queue(
    state: WebState,
    which: Which = "open",
    *,
    relation: Relation = "variant",
    limit: int | None = None,
    cursor: str | None = None,
    samples: int = 12,
) -> ReviewPage:
    """Returns a page of what is to be decided, or was, the most certain first.

    Args:
        state: The server's.
        which: ``open`` or ``decided``.
        relation: ``variant`` for merges; what else was found is ``implication``, ``same-images``
            or ``related``.
        limit: Proposals of a page.
        cursor: Of the page; None for the first.
        samples: Most images shown of each tag.

    Raises:
        WebError: The cursor is wrong.
        LibraryError: The proposals are damaged.
    """
    queue = state.queue()
    chosen = queue.ids(relation, which == "decided")
    offset, size = offset_of(cursor), page_size(limit)
    shown = [queue.items[one] for one in chosen[offset : offset + size]]
    waiting = len(queue.ids(relation, False))
    return ReviewPage(
        proposals=tuple(_proposal(state, queue, item, samples) for item in shown),
        open=waiting,
        decided=len(queue.ids(relation, True)),
        next=next_cursor(offset, len(shown), len(chosen)),
        note=_note(state) if not waiting and which == "open" else None,
    )


def one_proposal(state: WebState, proposal: str, *, samples: int = 12) -> Proposal:
    """Returns a proposal by its id.

    Raises:
        NotFoundError: There is none of that id, perhaps because variants were searched for anew.
    """
    queue = state.queue()
    if proposal not in queue.items:
        raise NotFoundError(
            f"there is no proposal {proposal!r}: 'tagkin variants' may have made new ones since"
        )
    return _proposal(state, queue, queue.items[proposal], samples)


def _note(state: WebState) -> str:
    if state.proposals() is None:
        return "nothing was proposed yet: 'tagkin variants' finds tags that mean the same"
    return "everything is decided: run 'tagkin variants' again when the collection has grown"


def _proposal(state: WebState, queue: ReviewQueue, item: Item, samples: int) -> Proposal:
    group, loaded, live = item.group, state.loaded(), state.live()
    places = {tag: loaded.places(tag) for tag in group.members}
    canonical = group.canonical
    sides = tuple(
        TagSide(
            tag=tag,
            count=len(places[tag]),
            now=live.rules.resolve(tag),
            images=_samples(state, tag, places, samples),
        )
        for tag in group.members
    )
    images, change = _change(item, places)
    return Proposal(
        id=group.id,
        relation=cast("Relation", item.relation),
        state="decided" if item.decided else "open",
        tier=group.tier,
        canonical=canonical,
        tags=sides,
        probability=item.probability,
        evidence=tuple(
            PairEvidence(pair.a, pair.b, pair.relation, pair.probability, explain(pair))
            for pair in item.pairs
        ),
        change=change,
        images=images,
        decisions=decision_views(state, queue.decisions_between(group.members)),
    )


def _samples(
    state: WebState, tag: str, places: Mapping[str, Places], most: int
) -> tuple[ImageCard, ...]:
    """Returns some images of a tag, those first that carry none of the others."""
    own = places[tag]
    if not most or not len(own):
        return ()
    # Ids are hashes: the first ones are a random choice that stays the same.
    some = own[:_LOOKED_AT]
    others = [found for other, found in places.items() if other != tag and len(found)]
    shared = np.isin(some, np.concatenate(others)) if others else np.zeros(len(some), bool)
    ordered = np.concatenate([some[~shared], some[shared]])[:most]
    return cards(state, state.loaded().collection.rows(ordered))


def _change(item: Item, places: Mapping[str, Places]) -> tuple[int, str]:
    """Returns how many images would get another tag, and what would change in words."""
    name = item.group.canonical
    others = [tag for tag in item.group.members if tag != name]
    before = places[name]
    new = np.setdiff1d(np.concatenate([places[tag] for tag in others]), before)
    if item.relation == "variant":
        told = " and ".join(f"'{tag}' ({_images(len(places[tag]))})" for tag in others)
        return len(new), (
            f"{told} will count as '{name}', which goes from {_images(len(before))} to "
            f"{len(before) + len(new):,}. Your files and their own tags stay as they are."
        )
    if item.relation == "implication":
        return len(new), (
            f"every image with '{others[0]}' will count as one with '{name}' as well: "
            f"{_images(len(new))} more. Your files and their own tags stay as they are."
        )
    return len(new), "nothing, unless you merge them: the two tags only seem to belong together."


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
