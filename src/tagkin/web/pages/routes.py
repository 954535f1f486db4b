"""All pages together."""

from fastapi import APIRouter

from tagkin.web.pages import (
    duplicates,
    export,
    image,
    review,
    search,
    status,
    suspects,
    vocabulary,
)

router = APIRouter(include_in_schema=False)
for _page in (search, image, review, vocabulary, suspects, duplicates, status, export):
    router.include_router(_page.router)
