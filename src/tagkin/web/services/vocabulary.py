"""All tags with counts, scores and other names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tagkin.web.loaded import Loaded
from tagkin.web.services.cards import ImageCard
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.services.search import cards
from tagkin.web.state import WebState

TagSort = Literal["count", "name", "score"]


@dataclass(frozen=True)
class TagScores:
    """What training measured of a tag, on the validation split.

    Attributes:
        threshold: From which probability on it is predicted.
        f1: At the threshold.
        precision: At the threshold.
        recall: At the threshold.
        average_precision: Of the ranking of images.
        train: Images trained on.
        validation: Images in the validation split.
    """

    threshold: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    average_precision: float | None
    train: int
    validation: int


@dataclass(frozen=True)
class TagEntry:
    """A tag of the vocabulary.

    Attributes:
        tag: Its name.
        count: Images that carry it.
        learned: Whether the tagger knows it.
        scores: What training measured; None if the tagger doesn't know it.
        aliases: Tags that were merged into it or are its aliases.
        implies: Tags that follow from it.
    """

    tag: str
    count: int
    learned: bool
    scores: TagScores | None
    aliases: tuple[str, ...]
    implies: tuple[str, ...]


@dataclass(frozen=True)
class TagsPage:
    """A page of the vocabulary.

    Attributes:
        tags: Of this page.
        total: Tags that the search chooses.
        next: Cursor of the following page; None behind the last one.
    """

    tags: tuple[TagEntry, ...]
    total: int
    next: str | None


@dataclass(frozen=True)
class TagDetail:
    """A tag with some of its images.

    Attributes:
        entry: The tag.
        images: Some of its images.
        undo: Number of the last decision in force that speaks of it; None if there is none.
    """

    entry: TagEntry
    images: tuple[ImageCard, ...]
    undo: int | None


def list_tags(
    state: WebState,
    *,
    prefix: str = "",
    contains: str = "",
    name: str | None = None,
    sort: TagSort = "count",
    limit: int | None = None,
    cursor: str | None = None,
) -> TagsPage:
    """Returns a page of all tags that begin so, contain that, or are called so exactly.

    Sorted by images (the most first), by name, or by F1 (the worst first, since these want looking
    at; tags without a score last).

    Raises:
        WebError: The cursor is wrong.
    """
    loaded, fold = state.loaded(), state.live().rules.fold
    chosen: Sequence[str] = loaded.collection.tags
    if sort != "count":
        chosen = loaded.tags_by_name if sort == "name" else loaded.tags_by_score
    if name is not None:
        chosen = [name] if loaded.count(name) else []
    if prefix:
        start = fold(prefix)
        chosen = [tag for tag in chosen if tag.startswith(start)]
    if contains:
        part = fold(contains)
        chosen = [tag for tag in chosen if part in tag]
    offset, size = offset_of(cursor), page_size(limit)
    shown = chosen[offset : offset + size]
    entries = tuple(_entry(state, loaded, tag) for tag in shown)
    return TagsPage(entries, len(chosen), next_cursor(offset, len(shown), len(chosen)))


def tag_detail(state: WebState, tag: str, *, samples: int = 24) -> TagDetail:
    """Returns a tag.

    Args:
        state: The server's.
        tag: In any spelling that the rules read as the same.
        samples: Most images that are shown of it.

    Raises:
        UnknownTagError: No image carries it.
    """
    loaded = state.loaded()
    name = loaded.collection.canonical(tag)
    rows = loaded.collection.rows(loaded.places(name)[:samples])
    live = state.live()
    speaking = [
        one.number
        for one in live.decisions
        if one.number in live.standing and name in (*one.tags, one.canonical)
    ]
    return TagDetail(_entry(state, loaded, name), cards(state, rows), max(speaking, default=None))


def _entry(state: WebState, loaded: Loaded, tag: str) -> TagEntry:
    live = state.live()
    measured = loaded.predictor.measured.get(tag) if loaded.predictor else None
    return TagEntry(
        tag=tag,
        count=loaded.count(tag),
        learned=measured is not None,
        scores=_scores(*measured) if measured else None,
        aliases=live.other_names.get(tag, ()),
        implies=live.rules.resolve_all([tag])[1:],
    )


def _scores(threshold: float, row: Mapping[str, Any]) -> TagScores:
    return TagScores(
        threshold=threshold,
        f1=row.get("f1"),
        precision=row.get("precision"),
        recall=row.get("recall"),
        average_precision=row.get("average_precision"),
        train=int(row.get("train") or 0),
        validation=int(row.get("validation") or 0),
    )
