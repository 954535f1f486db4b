"""The page of near-duplicates."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.web.pages.rendering import address, render, state_of
from tagkin.web.services.duplicates import list_duplicates

router = APIRouter()

_PAGE = 30


@router.get("/duplicates", response_class=HTMLResponse)
def duplicates_page(request: Request, cursor: str | None = None) -> HTMLResponse:
    """Shows a page of groups of images that look nearly the same."""
    page = list_duplicates(state_of(request), limit=_PAGE, cursor=cursor)
    return render(
        request,
        "duplicates.html",
        "duplicates",
        duplicates=page,
        first="/duplicates" if cursor else None,
        next=address("/duplicates", cursor=page.next) if page.next else None,
    )
