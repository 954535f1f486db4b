"""The suspects page: tags that are probably missing or wrong."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.suspects import SuspectKind
from tagkin.web.pages.rendering import address, render, state_of
from tagkin.web.services.suspects import list_suspects

router = APIRouter()

_PAGE = 48


@router.get("/suspects", response_class=HTMLResponse)
def suspects_page(
    request: Request,
    kind: SuspectKind = "missing",
    tag: str | None = None,
    cursor: str | None = None,
) -> HTMLResponse:
    """Shows a page of images whose tags disagree with the tagger."""
    page = list_suspects(state_of(request), kind, tag=tag or None, limit=_PAGE, cursor=cursor)
    return render(
        request,
        "suspects.html",
        "suspects",
        kind=kind,
        tag=tag or None,
        suspects=page,
        first=address("/suspects", kind=kind, tag=tag) if cursor else None,
        next=address("/suspects", kind=kind, tag=tag, cursor=page.next) if page.next else None,
    )
