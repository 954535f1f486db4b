"""Proposed merges, and decisions on tags."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from tagkin.web.api.requests import Cursor, Limit, Number, State, Strict, TagText, errors
from tagkin.web.services.deciding import (
    DecisionOutcome,
    DecisionsPage,
    Kind,
    decide,
    decision_list,
    undo_decision,
)
from tagkin.web.services.review import (
    Proposal,
    Relation,
    ReviewPage,
    one_proposal,
    review_queue,
)

router = APIRouter(tags=["review"])

Samples = Annotated[int, Query(ge=0, le=60, description="most images shown of each tag")]


class NewDecision(Strict):
    """A decision on tags.

    Attributes:
        kind: ``merge``, ``reject`` (they are different), ``imply`` (the first has the second as
            well) or ``related``.
        tags: Two or more; exactly two to imply or relate.
        canonical: The name that a merge keeps; that proposed, or that on more images, if None.
    """

    kind: Kind
    tags: Annotated[list[TagText], Field(min_length=1, max_length=100)]
    canonical: TagText | None = None


@router.get("/variants", responses=errors())
def get_variants(
    state: State,
    which: Annotated[Literal["open", "decided"], Query(alias="state")] = "open",
    relation: Annotated[Relation, Query(description="variant: merges")] = "variant",
    samples: Samples = 12,
    limit: Limit = None,
    cursor: Cursor = None,
) -> ReviewPage:
    """What is to be decided, or was, the most certain first."""
    return review_queue(
        state, which, relation=relation, limit=limit, cursor=cursor, samples=samples
    )


@router.get("/variants/{proposal}", responses=errors(404))
def get_variant(
    state: State, proposal: Annotated[str, Path(max_length=40)], samples: Samples = 12
) -> Proposal:
    """One proposal."""
    return one_proposal(state, proposal, samples=samples)


@router.get("/decisions", responses=errors())
def get_decisions(state: State, limit: Limit = None, cursor: Cursor = None) -> DecisionsPage:
    """All decisions, the last one first."""
    return decision_list(state, limit=limit, cursor=cursor)


@router.post("/decisions", responses=errors(404, 409))
def post_decision(state: State, decision: NewDecision) -> DecisionOutcome:
    """Takes a decision; 409 if one in force says otherwise."""
    return decide(state, decision.kind, decision.tags, canonical=decision.canonical)


@router.post("/decisions/undo", responses=errors(404, 409))
def post_undo_last(state: State) -> DecisionOutcome:
    """Takes the last decision in force back."""
    return undo_decision(state)


@router.post("/decisions/{number}/undo", responses=errors(404, 409))
def post_undo(state: State, number: Number) -> DecisionOutcome:
    """Takes a decision back; undoing an undo brings back what it took."""
    return undo_decision(state, number)
