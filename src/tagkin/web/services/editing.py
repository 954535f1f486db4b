"""Edits of the tags of one image."""

from collections.abc import Sequence
from dataclasses import dataclass

from tagkin.decisions import undone
from tagkin.records import ImageRow
from tagkin.tag_edits import NewTagEdit, TagEdit
from tagkin.web.live import Live
from tagkin.web.problems import ConflictError, NotFoundError, WebError
from tagkin.web.state import WebState

_MOST_TAGS = 100  # in one edit
_LONGEST_TAG = 10_000  # characters


@dataclass(frozen=True)
class EditView:
    """An edit of a tag on an image.

    Attributes:
        number: By which it can be undone.
        kind: ``add``, ``remove`` or ``undo``.
        image: Id of the image; empty for an undo.
        tag: The tag.
        undoes: The number of the edit that an undo takes back.
        when: ISO 8601 time in UTC.
        who: Who edited.
    """

    number: int
    kind: str
    image: str
    tag: str
    undoes: int | None
    when: str
    who: str


@dataclass(frozen=True)
class EditOutcome:
    """What came of a request to edit tags.

    Attributes:
        edits: That were stored.
        skipped: What was not stored since it holds already, in words.
        tags: Of the image, as they are now; empty if the undo concerned no image.
        image: Id of the image; None if it isn't known.
    """

    edits: tuple[EditView, ...]
    skipped: tuple[str, ...]
    tags: tuple[str, ...]
    image: str | None


def edit_tags(
    state: WebState, image: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> EditOutcome:
    """Adds tags to an image and takes others off, all or none.

    Raises:
        NotFoundError: There is no such image.
        WebError: A tag is empty, too long, or excluded, or there are too many.
        ConflictError: A tag to take off only follows from others.
    """
    if not add and not remove:
        raise WebError("name tags to add or to remove")
    if len(add) + len(remove) > _MOST_TAGS:
        raise WebError(f"at most {_MOST_TAGS} tags can be edited at once")
    row = state.row(image)
    with state.changing() as library:
        live = state.live(surely=True)
        skipped: list[str] = []
        new = [edit for tag in remove for edit in _removal(row, live, tag, skipped)]
        new += [edit for tag in add for edit in _addition(row, live, tag, skipped)]
        made = library.edit_tags(list(dict.fromkeys(new)))
    tags = state.tags_of(row)
    return EditOutcome(tuple(edit_view(one) for one in made), tuple(skipped), tags, image)


def undo_edit(state: WebState, number: int) -> EditOutcome:
    """Takes an edit back; undoing an undo brings back what it took.

    Raises:
        NotFoundError: There is no such edit.
        ConflictError: It was undone before.
    """
    with state.changing() as library:
        edits = {edit.number: edit for edit in state.live(surely=True).edits}
        if number not in edits:
            raise NotFoundError(f"there is no edit number {number}")
        if by := undone(edits.values()).get(number):
            raise ConflictError(
                f"edit {number} was undone by number {by}: undo that one to bring it back"
            )
        made = library.edit_tags([NewTagEdit("undo", undoes=number)])
    original = edits[number]
    while original.undoes is not None:
        original = edits[original.undoes]
    try:
        tags = state.tags_of(state.row(original.image))
    except NotFoundError:  # the image was deleted since
        tags = ()
    return EditOutcome(tuple(edit_view(one) for one in made), (), tags, original.image)


def edit_view(edit: TagEdit) -> EditView:
    """Returns an edit as it is shown."""
    return EditView(**edit.__dict__)


def _removal(row: ImageRow, live: Live, tag: str, skipped: list[str]) -> list[NewTagEdit]:
    """Takes off all raw tags that stand for a tag."""
    name = _checked(live, tag)
    now = live.edited.apply(row.id, row.tags)
    raw = [one for one in now if live.rules.resolve(one) == name]
    if raw:
        return [NewTagEdit("remove", row.id, one) for one in raw]
    if by := implying(live, now, name):
        told = " and ".join(repr(one) for one in by)
        raise ConflictError(
            f"{name!r} follows from {told} by a decision: remove that tag, or undo the decision"
        )
    skipped.append(f"the image doesn't carry {name!r}")
    return []


def _addition(row: ImageRow, live: Live, tag: str, skipped: list[str]) -> list[NewTagEdit]:
    name = _checked(live, tag)
    if name in live.rules.excluded:
        raise WebError(f"the tag {name!r} is excluded by the settings, so nobody would see it")
    weights = live.edited.apply_weighted(row.id, {t: row.weights.get(t, 1.0) for t in row.tags})
    known = [weight for raw, weight in weights.items() if live.rules.resolve(raw) == name]
    if max(known, default=0.0) < 1:
        return [NewTagEdit("add", row.id, " ".join(tag.split()))]
    skipped.append(f"the image carries {name!r} already")
    return []


def _checked(live: Live, tag: str) -> str:
    """Returns the tag that a request names.

    Raises:
        WebError: It is empty or too long.
    """
    if len(tag) > _LONGEST_TAG:
        raise WebError(f"a tag has at most {_LONGEST_TAG:,} characters")
    name = live.rules.resolve(tag)
    if not name:
        raise WebError("a tag is empty: name one with letters in it")
    return name


def implying(live: Live, raw: Sequence[str], name: str) -> tuple[str, ...]:
    """Returns the tags of an image from which a tag follows."""
    present = dict.fromkeys(live.rules.resolve(one) for one in raw)
    return tuple(
        tag for tag in present if tag and tag != name and name in live.rules.resolve_all([tag])
    )
