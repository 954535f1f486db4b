"""Images whose tags disagree most with the tagger."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tagkin.suspects import Suspect, SuspectKind
from tagkin.web.loaded import NO_TAGGER, NO_VECTORS
from tagkin.web.services.cards import ImageCard
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.services.search import cards
from tagkin.web.state import WebState


@dataclass(frozen=True)
class SuspectView:
    """A tag of an image that the tagger doubts.

    Attributes:
        image: The image.
        tag: A tag that it lacks (``missing``) or carries (``wrong``).
        kind: ``missing`` or ``wrong``.
        score: The tag's probability.
        threshold: The tag's threshold.
        margin: How far the score is above the threshold, in log odds; below 0 if it is below.
    """

    image: ImageCard
    tag: str
    kind: SuspectKind
    score: float
    threshold: float
    margin: float


@dataclass(frozen=True)
class SuspectsPage:
    """A page of suspects, the most certain first.

    Attributes:
        state: ``ready``; ``working`` while they are worked out, in the background; or
            ``unavailable``.
        progress: From 0 to 1 while they are worked out.
        note: What to do if they are unavailable, in words; else None.
        suspects: Of this page.
        total: Suspects of this kind, and of the tag if one was asked for, without those whose tag
            was edited since.
        tags: Tags with the most suspects of this kind, to choose from.
        next: Cursor of the following page; None behind the last one.
    """

    state: Literal["ready", "working", "unavailable"]
    progress: float
    note: str | None
    suspects: tuple[SuspectView, ...]
    total: int
    tags: tuple[str, ...]
    next: str | None


def list_suspects(
    state: WebState,
    kind: SuspectKind = "missing",
    *,
    tag: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> SuspectsPage:
    """Returns a page of suspects, the most certain first; the first call starts to work them out.

    What was edited since is left out.

    Raises:
        WebError: The cursor is wrong.
    """
    loaded = state.loaded()
    offset, size = offset_of(cursor), page_size(limit)
    if loaded.predictor is None:
        return _nothing("unavailable", 0.0, NO_TAGGER)
    if loaded.predictor.stored is None:
        return _nothing("unavailable", 0.0, NO_VECTORS)
    known = state.suspects.of(loaded, loaded.predictor)
    if known.error:
        return _nothing("unavailable", 0.0, known.error)
    if known.found is None:
        return _nothing("working", known.progress, None)
    live = state.live()
    wanted = live.rules.resolve(tag) if tag else None
    waiting = state.suspects.still_open(known.found, kind, live.edited, live.rules)
    chosen: Sequence[Suspect] = waiting.suspects
    if wanted is not None:
        chosen = [one for one in chosen if live.rules.resolve(one.tag) == wanted]
    shown = chosen[offset : offset + size]
    ids = list(dict.fromkeys(one.image for one in shown if loaded.has(one.image)))
    images = {one.id: one for one in cards(state, loaded.rows_of(ids))}
    views = tuple(
        SuspectView(
            images[one.image],
            live.rules.resolve(one.tag),
            one.kind,
            one.score,
            one.threshold,
            one.margin,
        )
        for one in shown
        if one.image in images
    )
    following = next_cursor(offset, len(shown), len(chosen))
    return SuspectsPage("ready", 1.0, None, views, len(chosen), waiting.tags, following)


def _nothing(
    state: Literal["working", "unavailable"], progress: float, note: str | None
) -> SuspectsPage:
    return SuspectsPage(state, progress, note, (), 0, (), None)
