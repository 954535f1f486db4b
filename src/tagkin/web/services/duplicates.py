"""Groups of images that look nearly the same."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagkin.duplicates import suggest
from tagkin.web.loaded import Loaded
from tagkin.web.services.cards import ImageCard
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.services.search import cards
from tagkin.web.state import WebState

Places = NDArray[np.int64]

_MOST_IMAGES = 100  # of a group that are shown


@dataclass(frozen=True)
class DuplicateGroupView:
    """Images that look nearly the same.

    Attributes:
        images: That suggested for keeping first; at most 100.
        size: Images of the group.
        reason: Why that one, in words.
    """

    images: tuple[ImageCard, ...]
    size: int
    reason: str


@dataclass(frozen=True)
class DuplicatesPage:
    """A page of groups, the largest first.

    Attributes:
        groups: Of this page.
        total: Groups.
        next: Cursor of the following page; None behind the last one.
    """

    groups: tuple[DuplicateGroupView, ...]
    total: int
    next: str | None


def list_duplicates(
    state: WebState, *, limit: int | None = None, cursor: str | None = None
) -> DuplicatesPage:
    """Returns a page of the groups of near-duplicates, as ``prepare`` found them.

    Raises:
        WebError: The cursor is wrong.
    """
    loaded = state.loaded()
    groups = loaded.duplicates
    offset, size = offset_of(cursor), page_size(limit)
    shown = [_group(state, loaded, place) for place in groups[offset : offset + size]]
    found = tuple(group for group in shown if group is not None)
    return DuplicatesPage(found, len(groups), next_cursor(offset, len(shown), len(groups)))


def _group(state: WebState, loaded: Loaded, places: Places) -> DuplicateGroupView | None:
    """Returns a group; None if its images are gone."""
    rows = loaded.collection.rows(places[:_MOST_IMAGES])
    if len(rows) < 2:
        return None
    suggested = suggest(rows)
    return DuplicateGroupView(cards(state, suggested.images), len(places), suggested.reason)
