"""All routes together."""

from fastapi import APIRouter

from tagkin.web.api import decisions, images, searches, tags
from tagkin.web.services.cards import API

router = APIRouter(prefix=API)
for _part in (images, searches, tags, decisions):
    router.include_router(_part.router)
