"""Images by tags, folders and dates; images like others; completion of tags."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tagkin.errors import LibraryError
from tagkin.files import printable
from tagkin.records import ImageRow
from tagkin.similarity import Query, SimilarImage, SimilarResult, parse_query
from tagkin.web.loaded import Loaded
from tagkin.web.problems import NotFoundError, WebError
from tagkin.web.services.cards import (
    ImageCard,
    TagCount,
    TagShare,
    card,
)
from tagkin.web.services.paging import next_cursor, offset_of, page_size
from tagkin.web.state import WebState

Sort = Literal["newest", "id"]
Use = Literal["mean", "learned"]

_MOST_IDS = 100  # images whose vectors are averaged in one query
_MOST_OFFSET = 100_000  # so far down the list of similar images nobody scrolls


@dataclass(frozen=True)
class ImagesPage:
    """A page of the images that a query chooses.

    Attributes:
        query: As it was understood; empty for all images.
        total: Images that it chooses.
        images: Of this page.
        next: Cursor of the following page; None behind the last one.
    """

    query: str
    total: int
    images: tuple[ImageCard, ...]
    next: str | None


@dataclass(frozen=True)
class SimilarPage:
    """A page of the images nearest to something.

    Attributes:
        query: What was searched for, in words.
        upload: Key of the uploaded image, if one was searched for; ``similar?upload=KEY`` goes on
            with it.
        images: Of this page, with scores, the nearest first.
        tags: Tags that the images of this page carry more often than the rest.
        nearest_tags: For a tag, the tags whose images look most alike.
        next: Cursor of the following page; None behind the last one.
    """

    query: str
    upload: str | None
    images: tuple[ImageCard, ...]
    tags: tuple[TagShare, ...]
    nearest_tags: tuple[TagShare, ...]
    next: str | None


def list_images(
    state: WebState,
    q: str = "",
    *,
    sort: Sort = "newest",
    limit: int | None = None,
    cursor: str | None = None,
) -> ImagesPage:
    """Returns the images that a query chooses; see `tagkin.similarity.parse_query`.

    Raises:
        QueryError: The query can't be understood.
        UnknownTagError: It asks for a tag that no image carries.
        WebError: The cursor is wrong.
    """
    loaded = state.loaded()
    query = parse_query(q)
    offset, size = offset_of(cursor), page_size(limit)
    chosen = loaded.chosen(query, sort)
    positions = chosen[offset : offset + size]
    images = cards(state, loaded.collection.rows(positions))
    following = next_cursor(offset, len(positions), len(chosen))
    return ImagesPage(str(query), len(chosen), images, following)


def similar_images(
    state: WebState,
    *,
    ids: Sequence[str] = (),
    tag: str | None = None,
    upload: str | None = None,
    q: str = "",
    distinct: bool = False,
    use: Use = "mean",
    limit: int | None = None,
    cursor: str | None = None,
) -> SimilarPage:
    """Returns the images nearest to images of the library, to a tag or to an upload.

    Args:
        state: The server's.
        ids: Images; of several the mean is searched for.
        tag: A tag, by the mean of its images or by what the tagger has learned (``use``).
        upload: Key that `tagkin.web.uploads` gave.
        q: Only images that this query chooses.
        distinct: Whether to show one image only of each group of near-duplicates.
        use: For a tag: ``mean`` or ``learned``.
        limit: Images of a page.
        cursor: Of the page; None for the first.

    Raises:
        NotFoundError: There is no such image, or the upload was forgotten.
        UnknownTagError: No image carries the tag.
        QueryError: The query can't be understood.
        NotReadyError: The library has no vectors yet.
        WebError: Not exactly one of ids, tag and upload is given.
    """
    if sum((bool(ids), tag is not None, upload is not None)) != 1:
        raise WebError("name what to search for: either id (one or several), tag, or upload")
    if len(ids) > _MOST_IDS:
        raise WebError(f"at most {_MOST_IDS} images can be searched for at once")
    loaded = state.loaded()
    offset, size = offset_of(cursor), page_size(limit)
    if offset > _MOST_OFFSET:
        raise WebError(f"only the first {_MOST_OFFSET} similar images are listed")
    where = parse_query(q) or None
    # One more, so that it is known whether another page follows.
    found = _search(state, loaded, ids, tag, upload, where, distinct, use, size + 1, offset)
    shown = found.images[:size]
    return SimilarPage(
        query=printable(Path(found.query).name) if len(set(ids)) == 1 else found.query,
        upload=upload,
        images=_similar_cards(state, loaded, shown),
        tags=tuple(TagShare(one.tag, one.score) for one in found.tags),
        nearest_tags=tuple(TagShare(one.tag, one.score) for one in found.nearest_tags),
        next=next_cursor(offset, size, None) if len(found.images) > size else None,
    )


def complete(state: WebState, prefix: str, limit: int = 10) -> tuple[TagCount, ...]:
    """Returns the tags that begin so, the most frequent first."""
    found = state.loaded().collection.complete(prefix, min(max(limit, 1), 50))
    return tuple(TagCount(tag, count) for tag, count in found)


def cards(state: WebState, rows: Sequence[ImageRow]) -> tuple[ImageCard, ...]:
    """Returns images as lists show them, with the tags they have now."""
    live = state.live()
    return tuple(card(row, state.tags_of(row, live)) for row in rows)


def _search(
    state: WebState,
    loaded: Loaded,
    ids: Sequence[str],
    tag: str | None,
    upload: str | None,
    where: Query | None,
    distinct: bool,
    use: Use,
    limit: int,
    offset: int,
) -> SimilarResult:
    searcher = loaded.need_searcher()
    if upload is not None:
        kept = state.uploads.get(upload)
        if kept is None:
            raise NotFoundError("the server has forgotten this upload: send the image again")
        vector = state.upload_vector(loaded, kept)
        return searcher.by_vector(
            vector, kept.name, limit=limit, offset=offset, where=where, distinct=distinct
        )
    for image in ids:
        loaded.need_position(image)
    try:
        if tag is not None:
            return searcher.by_tag(
                tag, limit=limit, offset=offset, where=where, distinct=distinct, use=use
            )
        return searcher.by_images(
            list(dict.fromkeys(ids)), limit=limit, offset=offset, where=where, distinct=distinct
        )
    except LibraryError as error:  # no vector of the image, no image of the tag with a vector
        raise NotFoundError(str(error)) from error


def _similar_cards(
    state: WebState, loaded: Loaded, images: Sequence[SimilarImage]
) -> tuple[ImageCard, ...]:
    """Returns what a search found with the tags it has now; only edited images are looked up."""
    live = state.live()
    edited = [one.id for one in images if one.id in live.edited]
    tags = {row.id: state.tags_of(row, live) for row in loaded.rows_of(edited)}
    return tuple(
        card(
            one,
            tags[one.id] if one.id in tags else state.frequent_first(live.rules.wanted(one.tags)),
            one.score,
        )
        for one in images
    )
