"""One image: its tags beside the predicted ones, its files, its kin, and edits of its tags."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tagkin.files import printable
from tagkin.records import ImageFile, ImageRow
from tagkin.tagger import PredictedTag as Scored
from tagkin.web.live import Live
from tagkin.web.loaded import NO_TAGGER
from tagkin.web.services.cards import API, ImageCard, card
from tagkin.web.services.editing import EditView, edit_view, implying
from tagkin.web.services.search import cards
from tagkin.web.state import WebState
from tagkin.web.thumbnails import is_inline

_MOST_DUPLICATES = 50
_SHOWN = 30  # predicted tags, those below their threshold included


@dataclass(frozen=True)
class FileInfo:
    """A file of an image, in words: no path is ever an address.

    Attributes:
        name: Of the file.
        folder: Where it is.
        bytes: Its size.
        modified: When it was last changed, ISO 8601 in UTC.
        missing: Whether the source no longer named it when it was last read.
    """

    name: str
    folder: str
    bytes: int
    modified: str
    missing: bool


@dataclass(frozen=True)
class CarriedTag:
    """A tag that an image carries.

    Attributes:
        tag: As the rules see it.
        raw: The spellings that were read or added, which stand for it; empty if it only follows
            from other tags.
        count: Images with it.
        score: Its predicted probability; None if no tagger knows it.
        threshold: Its tagger's threshold.
        added: Number of the edit that added it; None if it was read.
        implied_by: Tags of this image from which it follows, if it doesn't stand there itself.
    """

    tag: str
    raw: tuple[str, ...]
    count: int
    score: float | None = None
    threshold: float | None = None
    added: int | None = None
    implied_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class PredictedTag:
    """A tag that the tagger gives to an image.

    Attributes:
        tag: As the rules see it.
        score: Probability.
        threshold: From which on it is predicted.
        present: Whether the image carries it.
    """

    tag: str
    score: float
    threshold: float
    present: bool = False


@dataclass(frozen=True)
class ImageDetail:
    """Everything that is shown of one image.

    Attributes:
        image: As lists show it.
        format: Name of the file format, such as ``png``.
        frames: 1, or the number of frames of an animation.
        split: ``train``, ``validation`` or ``test``; None until ``prepare`` has finished.
        truncated: Whether only a part of it can be decoded.
        files: Its files.
        file: Address of the original.
        inline: Whether a browser shows the original; else it is only offered for download.
        tags: That it carries, the most frequent first.
        removed: Edits that took off a tag that its files still carry.
        predicted: By the tagger, the first by rank first: all at or above their threshold, then
            some below it; empty without a tagger or a vector.
        predicted_note: Why nothing is predicted; None if something can be.
        edits: In force on this image, the last of each tag.
        group: Name of its group of near-duplicates; None if it is in none.
        duplicates: Other images of that group.
    """

    image: ImageCard
    format: str
    frames: int
    split: str | None
    truncated: bool
    files: tuple[FileInfo, ...]
    file: str
    inline: bool
    tags: tuple[CarriedTag, ...]
    removed: tuple[EditView, ...]
    predicted: tuple[PredictedTag, ...]
    predicted_note: str | None
    edits: tuple[EditView, ...]
    group: str | None
    duplicates: tuple[ImageCard, ...]


def image_detail(state: WebState, image: str) -> ImageDetail:
    """Returns everything that is shown of an image.

    Raises:
        NotFoundError: There is no such image.
    """
    row, live = state.row(image), state.live()
    tags = state.tags_of(row, live)
    scores, predicted, note = _predict(state, image, frozenset(tags))
    edits = tuple(edit_view(edit) for edit in live.edited.of(image))
    had = {live.rules.fold(tag) for tag in row.tags}
    group, duplicates = _group(state, row)
    return ImageDetail(
        image=card(row, tags),
        format=row.format,
        frames=row.frames,
        split=row.split,
        truncated=row.truncated,
        files=tuple(_file(file) for file in row.files),
        file=f"{API}/images/{image}/file",
        inline=is_inline(row.format),
        tags=tuple(_carried(state, row, live, tag, scores) for tag in tags),
        removed=tuple(e for e in edits if e.kind == "remove" and live.rules.fold(e.tag) in had),
        predicted=predicted,
        predicted_note=note,
        edits=edits,
        group=group,
        duplicates=duplicates,
    )


def _carried(
    state: WebState, row: ImageRow, live: Live, tag: str, scores: dict[str, Scored]
) -> CarriedTag:
    now = live.edited.apply(row.id, row.tags)
    raw = tuple(one for one in now if live.rules.resolve(one) == tag)
    edits = [live.edited.last(row.id, one) for one in raw]
    added = [edit.number for edit in edits if edit and edit.kind == "add"]
    found = scores.get(tag)
    return CarriedTag(
        tag=tag,
        raw=raw,
        count=state.loaded().count(tag),
        score=found.score if found else None,
        threshold=found.threshold if found else None,
        added=added[-1] if added else None,
        implied_by=() if raw else implying(live, now, tag),
    )


def _predict(
    state: WebState, image: str, carried: frozenset[str]
) -> tuple[dict[str, Scored], tuple[PredictedTag, ...], str | None]:
    """Returns the scores of all tags, the predicted ones, and why there are none."""
    predictor = state.loaded().predictor
    if predictor is None:
        return {}, (), NO_TAGGER
    vector = predictor.vector(image)
    if vector is None:
        return {}, (), "this image has no vector yet: run 'tagkin embed'"
    tagger = predictor.tagger
    every = tagger.tags_for(
        vector, top=len(tagger.tags), rank=state.settings.rank, without_itself=True
    )
    wanted = [tag for tag in every if tag.tag not in state.live().rules.excluded]
    above = [tag for tag in wanted if tag.score >= tag.threshold]
    below = [tag for tag in wanted if tag.score < tag.threshold]
    shown = above + below[: max(0, _SHOWN - len(above))]
    predicted = tuple(
        PredictedTag(one.tag, one.score, one.threshold, one.tag in carried) for one in shown
    )
    return {tag.tag: tag for tag in every}, predicted, None


def _group(state: WebState, row: ImageRow) -> tuple[str | None, tuple[ImageCard, ...]]:
    loaded = state.loaded()
    groups = loaded.collection.columns.groups
    place = loaded.need_position(row.id)
    others = np.flatnonzero(groups == groups[place])
    others = others[others != place]
    if not len(others):
        return None, ()
    return row.group, cards(state, loaded.collection.rows(others[:_MOST_DUPLICATES]))


def _file(file: ImageFile) -> FileInfo:
    modified = datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).isoformat(timespec="seconds")
    folder = printable(file.path.parent)
    return FileInfo(printable(file.path.name), folder, file.bytes, modified, file.missing)
