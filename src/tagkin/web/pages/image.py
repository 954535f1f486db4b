"""The page of one image."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from tagkin.errors import TagkinError
from tagkin.thumbnails import HEIGHTS
from tagkin.web.pages.rendering import render, state_of
from tagkin.web.services.cards import ImageCard
from tagkin.web.services.image import image_detail
from tagkin.web.services.search import similar_images
from tagkin.web.state import WebState

router = APIRouter()

_NEIGHBOURS = 18
_LIKELY = 8  # predicted tags that are shown at once, if not more are above their threshold


@router.get("/images/{image}", response_class=HTMLResponse)
def image_page(request: Request, image: str) -> HTMLResponse:
    """Shows an image, its tags beside the predicted ones, and its kin."""
    state = state_of(request)
    detail = image_detail(state, image)
    return render(
        request,
        "image.html",
        "search",
        detail=detail,
        image=detail.image,
        neighbours=_neighbours(state, image),
        largest=HEIGHTS[-1],
        likely=max(_LIKELY, sum(one.score >= one.threshold for one in detail.predicted)),
    )


def _neighbours(state: WebState, image: str) -> tuple[ImageCard, ...]:
    """Returns the nearest images; none if the library has no vectors, which isn't this page's."""
    try:
        return similar_images(state, ids=[image], limit=_NEIGHBOURS).images
    except TagkinError:
        return ()
