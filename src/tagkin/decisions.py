"""What the owner decided about tags: an append-only list that is replayed, never edited."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

LinkKind = Literal["merge", "reject", "imply", "related"]
DecisionKind = Literal["merge", "reject", "imply", "related", "undo"]


@dataclass(frozen=True)
class NewDecision:
    """A decision that is yet to be stored; the attributes are those of `Decision`.

    ``when`` and ``who`` are filled in when it is stored, unless it was first taken elsewhere.
    """

    kind: DecisionKind
    tags: tuple[str, ...] = ()
    canonical: str | None = None
    undoes: int | None = None
    evidence: str = ""
    probability: float | None = None
    when: str | None = None
    who: str | None = None


@dataclass(frozen=True)
class Decision:
    """One entry of the list.

    Attributes:
        number: Place in the list, from 1.
        kind: ``merge`` makes ``tags`` one tag named ``canonical``; ``reject`` says that ``tags``
            are different; ``imply`` says that images of the first of two tags have the second as
            well; ``related`` says that ``tags`` belong together without being one; ``undo`` takes
            back the decision whose number is in ``undoes``.
        tags: The tags concerned, folded.
        canonical: The name that a merge keeps.
        undoes: The number of the decision that an undo takes back.
        when: ISO 8601 time in UTC.
        who: Who decided.
        evidence: Why it was proposed, in words; may be empty.
        probability: That the tags mean the same, as it was thought then; of several pairs the
            lowest for a merge, the highest for the others; None if nobody had worked it out.
    """

    number: int
    kind: DecisionKind
    tags: tuple[str, ...]
    canonical: str | None
    undoes: int | None
    when: str
    who: str
    evidence: str = ""
    probability: float | None = None


def in_words(decision: Decision) -> str:
    """Says what a decision does."""
    tags = [repr(tag) for tag in decision.tags]
    if decision.kind == "merge":
        gone = [tag for tag in tags if tag != repr(decision.canonical)]
        return f"{', '.join(gone)} merged into {decision.canonical!r}"
    if decision.kind == "reject":
        return f"{' and '.join(tags)} are different"
    if decision.kind == "undo":
        return f"took back decision {decision.undoes}"
    return f" {'implies' if decision.kind == 'imply' else 'is related to'} ".join(tags)


@dataclass(frozen=True)
class Link:
    """What is in force between two tags, under the names that they have now.

    Attributes:
        kind: What was decided.
        tag: The tag that is renamed by a merge, or that implies; else the first.
        other: The name kept, or the tag implied; else the second.
        number: Of the decision, or of the line of a file that says so.
        when: ISO 8601 time in UTC; None if a file doesn't say.
        who: Who decided; None if a file doesn't say.
        evidence: Why, in words.
        probability: See `Decision`.
    """

    kind: LinkKind
    tag: str
    other: str
    number: int
    when: str | None = None
    who: str | None = None
    evidence: str = ""
    probability: float | None = None


class Entry(Protocol):
    """An entry of a list that only grows."""

    @property
    def number(self) -> int:
        """Its place in the list, from 1."""

    @property
    def undoes(self) -> int | None:
        """The number of the entry that it takes back."""


def undone(entries: Iterable[Entry]) -> dict[int, int]:
    """Returns the number of each entry that is taken back, with that of its undo."""
    taken_back: dict[int, int] = {}
    for entry in reversed(list(entries)):  # so that an undone undo takes nothing back
        if entry.undoes is not None and entry.number not in taken_back:
            taken_back[entry.undoes] = entry.number
    return taken_back


def in_force(decisions: Iterable[Decision]) -> list[Decision]:
    """Returns the decisions that nobody took back, without the undos themselves."""
    in_order = list(decisions)
    taken_back = undone(in_order)
    return [d for d in in_order if d.kind != "undo" and d.number not in taken_back]


def accepted_merges(decisions: Iterable[Decision]) -> dict[str, str]:
    """Replays the list and returns each merged tag with the name it has now.

    A later decision on the same tag wins. A merge of ``a`` into ``b`` and one of ``b`` into
    ``c``, in either order, lead from ``a`` to ``c``; a merge that would close a circle turns
    the older link round.
    """
    steps = _steps(in_force(decisions))
    return {tag: _way(tag, steps)[-1] for tag in steps}


def accepted_implications(decisions: Iterable[Decision]) -> tuple[tuple[str, str], ...]:
    """Returns the pairs (tag, implied tag) in force."""
    found = [link for link in links(decisions) if link.kind == "imply"]
    return tuple((link.tag, link.other) for link in found)


def links(decisions: Iterable[Decision]) -> list[Link]:
    """Replays the list and returns what is in force between pairs of tags.

    Chains of merges are followed to their ends, and the other kinds speak of tags by the names
    they have after the merges; what has become one tag is left out.
    """
    standing = in_force(decisions)
    steps = _steps(standing)
    found: dict[tuple[str, str, str], Link] = {}
    for decision in standing:
        if decision.kind == "merge":
            pairs = [
                (tag, _way(tag, steps)[-1])
                for tag in decision.tags
                if tag in steps and steps[tag][1] is decision
            ]
        else:
            names = dict.fromkeys(_way(tag, steps)[-1] for tag in decision.tags)
            pairs = list(combinations(names, 2))
        for tag, other in pairs:
            key = (decision.kind, tag, other)
            if decision.kind in ("reject", "related"):
                key = (decision.kind, min(tag, other), max(tag, other))
            if decision.kind != "undo":
                found[key] = Link(
                    decision.kind,
                    tag,
                    other,
                    decision.number,
                    decision.when,
                    decision.who,
                    decision.evidence,
                    decision.probability,
                )
    return list(found.values())


_Steps = dict[str, tuple[str, Decision]]


def _steps(standing: Iterable[Decision]) -> _Steps:
    """Returns each merged tag with the name that its own decision gave it."""
    steps: _Steps = {}
    for decision in standing:
        if decision.kind != "merge" or decision.canonical is None:
            continue
        if not set(decision.tags).isdisjoint(_way(decision.canonical, steps)[1:]):
            steps.pop(decision.canonical, None)  # else the new links would close a circle
        for tag in decision.tags:
            if tag != decision.canonical:
                steps[tag] = (decision.canonical, decision)
    return steps


def _way(tag: str, steps: _Steps) -> list[str]:
    way = [tag]
    while way[-1] in steps:
        way.append(steps[way[-1]][0])
    return way
