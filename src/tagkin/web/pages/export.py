"""The export page: what was decided and edited, as files for other programs."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.web.pages.rendering import render, state_of
from tagkin.web.services.status import status

router = APIRouter()


@router.get("/export", response_class=HTMLResponse)
def export_page(request: Request) -> HTMLResponse:
    """Offers all exports."""
    return render(request, "export.html", "export", status=status(state_of(request)))
