"""Decisions on tags: taken, taken back and listed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tagkin.decisions import Decision, in_words
from tagkin.variants.deciding import Decided, TagDecisions
from tagkin.variants.proposals import group_id
from tagkin.web.live import Live
from tagkin.web.loaded import Loaded
from tagkin.web.problems import NotFoundError, WebError
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.state import WebState

Kind = Literal["merge", "reject", "imply", "related"]

_MOST_TAGS = 100  # in one decision
_LONGEST_TAG = 10_000  # characters


@dataclass(frozen=True)
class DecisionView:
    """A decision.

    Attributes:
        number: By which it can be undone.
        kind: ``merge``, ``reject``, ``imply``, ``related`` or ``undo``.
        tags: Concerned.
        canonical: The name that a merge keeps.
        undoes: The number that an undo takes back.
        when: ISO 8601 time in UTC.
        who: Who decided.
        evidence: Why, in words; may be empty.
        probability: As it was thought then.
        in_force: Whether nobody took it back.
        text: In plain words.
    """

    number: int
    kind: str
    tags: tuple[str, ...]
    canonical: str | None
    undoes: int | None
    when: str
    who: str
    evidence: str
    probability: float | None
    in_force: bool
    text: str


@dataclass(frozen=True)
class DecisionsPage:
    """A page of the decisions, the last one first.

    Attributes:
        decisions: Of this page.
        total: Entries of the list, undos included.
        next: Cursor of the following page; None behind the last one.
    """

    decisions: tuple[DecisionView, ...]
    total: int
    next: str | None


@dataclass(frozen=True)
class DecisionOutcome:
    """What came of a decision.

    Attributes:
        decisions: That were stored.
        skipped: What was not stored since it holds already, in words.
        notes: What the owner should know about what was stored, in words.
    """

    decisions: tuple[DecisionView, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def decide(
    state: WebState, kind: Kind, tags: Sequence[str], *, canonical: str | None = None
) -> DecisionOutcome:
    """Takes a decision.

    Args:
        state: The server's.
        kind: ``merge``, ``reject`` (the tags are different), ``imply`` (each image of the first
            tag has the second as well) or ``related``.
        tags: Two or more; exactly two to imply or relate.
        canonical: The name that a merge keeps; the one proposed, or that on more images, if None.

    Raises:
        WebError: The number of tags is wrong.
        DecisionError: A decision in force says otherwise.
        UnknownTagError: No image carries a tag.
    """
    if len(tags) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in (*tags, canonical or "")):
        raise WebError(f"at most {_MOST_TAGS} tags of {_LONGEST_TAG:,} letters can be decided on")
    if kind in ("imply", "related") and len(tags) != 2:
        raise WebError(f"name exactly two tags for a decision of the kind {kind!r}")
    loaded = state.loaded()
    if kind == "merge" and canonical is None:
        canonical = _proposed_name(state, tags)
    with state.changing() as library:
        counts = _counts(loaded, state.live(surely=True))
        desk = TagDecisions(library, state.settings, counts=counts)
        match kind:
            case "merge":
                decided = desk.merge(tags, canonical=canonical)
            case "reject":
                decided = desk.reject(tags)
            case "imply":
                decided = desk.imply(*tags)
            case _:
                decided = desk.relate(*tags)
    return _outcome(state, decided)


def undo_decision(state: WebState, number: int | None = None) -> DecisionOutcome:
    """Takes a decision back, the last one in force if no number is given.

    Raises:
        NotFoundError: There is no decision of that number.
        DecisionError: There is none to undo, or it was undone before.
    """
    with state.changing() as library:
        desk = TagDecisions(library, state.settings, counts={})
        if number is not None and not 1 <= number <= len(desk.taken):
            raise NotFoundError(f"there is no decision number {number}")
        decided = desk.undo(() if number is None else (number,))
    return _outcome(state, decided)


def decision_list(
    state: WebState, *, limit: int | None = None, cursor: str | None = None
) -> DecisionsPage:
    """Returns a page of all decisions, the last one first.

    Raises:
        WebError: The cursor is wrong.
    """
    taken = state.live().decisions
    offset, size = offset_of(cursor), page_size(limit)
    end = max(0, len(taken) - offset)
    shown = taken[max(0, end - size) : end][::-1]
    views = decision_views(state, shown)
    return DecisionsPage(views, len(taken), next_cursor(offset, len(shown), len(taken)))


def decision_views(state: WebState, decisions: Sequence[Decision]) -> tuple[DecisionView, ...]:
    """Returns decisions as they are shown."""
    standing = state.live().standing
    return tuple(
        DecisionView(**one.__dict__, in_force=one.number in standing, text=in_words(one))
        for one in decisions
    )


def _counts(loaded: Loaded, live: Live) -> Mapping[str, int]:
    """Returns the images of each tag, also of those that got their name since they were counted."""
    counts = loaded.tag_counts
    renamed: Counter[str] = Counter()
    for tag in live.rules.merges:
        if (name := live.rules.resolve(tag)) not in counts:
            renamed[name] += counts.get(tag, 0)
    return {**counts, **+renamed} if renamed else counts


def _proposed_name(state: WebState, tags: Sequence[str]) -> str | None:
    """Returns the name that was proposed for exactly these tags; None if nothing was."""
    fold = state.live().rules.fold
    item = state.queue().items.get(group_id(tuple(dict.fromkeys(fold(tag) for tag in tags))))
    return state.live().rules.resolve(item.group.canonical) if item else None


def _outcome(state: WebState, decided: Decided) -> DecisionOutcome:
    views = decision_views(state, decided.decisions)
    return DecisionOutcome(views, decided.skipped, decided.notes)
