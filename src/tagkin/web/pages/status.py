"""The status page: the library, its models, and what was measured."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.web.pages.rendering import render, state_of
from tagkin.web.services.status import status

router = APIRouter()


@router.get("/status", response_class=HTMLResponse)
def status_page(request: Request) -> HTMLResponse:
    """Shows the state of the library and the server."""
    return render(request, "status.html", "status", status=status(state_of(request)))
