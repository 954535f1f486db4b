"""The review page: proposed merges, one at a time."""

from dataclasses import dataclass
from typing import get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.web.pages.rendering import address, render, state_of
from tagkin.web.services.deciding import decision_list
from tagkin.web.services.review import Proposal, Relation, one_proposal, review_queue

router = APIRouter()

_SAMPLES = 12
_DECISIONS = 20
_NAMES: dict[Relation, str] = {
    "variant": "Same meaning",
    "implication": "One implies the other",
    "same-images": "On the same images",
    "related": "Related",
}


@dataclass(frozen=True)
class _Tab:
    """One of the queues."""

    name: str
    href: str
    current: bool


@router.get("/review", response_class=HTMLResponse)
def review_page(
    request: Request,
    relation: Relation = "variant",
    group: str | None = None,
    cursor: str | None = None,
    end: bool = False,
) -> HTMLResponse:
    """Shows the next proposal, or one by its id, which may be decided already.

    With ``end`` it says that the last one was skipped.
    """
    state = state_of(request)
    queue = review_queue(state, relation=relation, limit=1, cursor=cursor, samples=_SAMPLES)
    proposal: Proposal | None = queue.proposals[0] if queue.proposals and not end else None
    # Skipping leads to the entry behind; deciding takes one away, so the same place is the next.
    own = _unless_usual(relation)
    here = address("/review", relation=own, cursor=cursor, end=end)
    skip = address("/review", relation=own, cursor=queue.next, end=queue.next is None)
    if group is not None and (proposal is None or proposal.id != group):
        proposal = one_proposal(state, group, samples=_SAMPLES)
        skip = here
    return render(
        request,
        "review.html",
        "review",
        queue=queue,
        searched=state.proposals() is not None,
        proposal=proposal,
        relation=relation,
        here=here,
        skip=skip,
        start=address("/review", relation=own),
        decisions=decision_list(state, limit=_DECISIONS),
        tabs=[
            _Tab(
                _NAMES[one],
                address("/review", relation=_unless_usual(one)),
                one == relation,
            )
            for one in get_args(Relation)
        ],
    )


def _unless_usual(relation: Relation) -> str | None:
    return None if relation == "variant" else relation
