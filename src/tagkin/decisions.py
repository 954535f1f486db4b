"""What the owner decided about tags: an append-only list that is replayed, never edited."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

DecisionKind = Literal["merge", "reject", "undo"]


@dataclass(frozen=True)
class Decision:
    """One entry of the list.

    Attributes:
        number: Place in the list, from 1.
        kind: ``merge`` makes ``tags`` one tag named ``canonical``; ``reject`` says that ``tags``
            are different; ``undo`` takes back the decision whose number is in ``undoes``.
        tags: The tags concerned, folded.
        canonical: The name that a merge keeps.
        undoes: The number of the decision that an undo takes back.
        when: ISO 8601 time in UTC.
        who: Who decided.
        evidence: Why it was proposed, in words; may be empty.
    """

    number: int
    kind: DecisionKind
    tags: tuple[str, ...]
    canonical: str | None
    undoes: int | None
    when: str
    who: str
    evidence: str = ""


def accepted_merges(decisions: Iterable[Decision]) -> dict[str, str]:
    """Replays the list and returns each merged tag with the name it has now.

    A later decision on the same tag wins. A merge of ``a`` into ``b`` and one of ``b`` into
    ``c``, in either order, lead from ``a`` to ``c``; a merge that would close a circle turns
    the older link round.
    """
    in_order = list(decisions)
    undone: set[int | None] = set()
    for decision in reversed(in_order):  # so that an undone undo takes nothing back
        if decision.kind == "undo" and decision.number not in undone:
            undone.add(decision.undoes)
    merges: dict[str, str] = {}
    for decision in in_order:
        if decision.kind != "merge" or decision.number in undone or decision.canonical is None:
            continue
        if not set(decision.tags).isdisjoint(_way(decision.canonical, merges)[1:]):
            merges.pop(decision.canonical, None)  # else the new links would close a circle
        for tag in decision.tags:
            if tag != decision.canonical:
                merges[tag] = decision.canonical
    return {tag: _way(tag, merges)[-1] for tag in merges}


def _way(tag: str, merges: dict[str, str]) -> list[str]:
    way = [tag]
    while way[-1] in merges:
        way.append(merges[way[-1]])
    return way
