"""Tags that the owner added to single images or took off them.

The images' own tags stay as they were read. Edits are a list that only grows; an undo is one more
entry. What an image's tags are now is its raw tags seen through the edits that are in force, the
later ones last; only then do the rules of the vocabulary come.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tagkin.append_log import AppendLog
from tagkin.decisions import undone
from tagkin.records import EDITS, ImageRow
from tagkin.vocabulary import TagRules

EditKind = Literal["add", "remove", "undo"]


@dataclass(frozen=True)
class NewTagEdit:
    """An edit that is yet to be stored; the attributes are those of `TagEdit`.

    ``when`` and ``who`` are filled in when it is stored.
    """

    kind: EditKind
    image: str = ""
    tag: str = ""
    undoes: int | None = None
    when: str | None = None
    who: str | None = None


@dataclass(frozen=True)
class TagEdit:
    """One entry of the list.

    Attributes:
        number: Place in the list, from 1.
        kind: ``add`` gives the tag to the image; ``remove`` takes it off; ``undo`` takes back the
            edit whose number is in ``undoes``.
        image: Id of the image; empty for an undo.
        tag: A raw tag, in any spelling that folds to the same; empty for an undo.
        undoes: The number of the edit that an undo takes back.
        when: ISO 8601 time in UTC.
        who: Who edited.
    """

    number: int
    kind: EditKind
    image: str
    tag: str
    undoes: int | None
    when: str
    who: str


class EditedTags:
    """The tags of images as they are after the edits.

    Args:
        edits: All edits of a library, in order.
        rules: How spellings of one tag are recognised: by folding only, since what was merged
            later was not what the owner saw on the image.
    """

    def __init__(self, edits: Iterable[TagEdit], rules: TagRules | None = None) -> None:
        self._rules = rules or TagRules()
        self._by_image: dict[str, dict[str, TagEdit]] = {}
        in_order = list(edits)
        taken_back = undone(in_order)
        for edit in in_order:
            if edit.kind != "undo" and edit.number not in taken_back:
                last = self._by_image.setdefault(edit.image, {})
                key = self._rules.fold(edit.tag)
                last.pop(key, None)  # so that the order is that of the last edits
                last[key] = edit

    def __contains__(self, image: str) -> bool:
        """Returns whether edits of an image are in force."""
        return image in self._by_image

    def __len__(self) -> int:
        """Returns the number of images of which edits are in force."""
        return len(self._by_image)

    @property
    def images(self) -> tuple[str, ...]:
        """The ids of the images of which edits are in force."""
        return tuple(self._by_image)

    def of(self, image: str) -> tuple[TagEdit, ...]:
        """Returns the edits of an image that are in force, the last of each tag."""
        return tuple(self._by_image.get(image, {}).values())

    def last(self, image: str, tag: str) -> TagEdit | None:
        """Returns the edit in force of a tag on an image; None if there is none."""
        return self._by_image.get(image, {}).get(self._rules.fold(tag))

    def apply(self, image: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Returns the raw tags of an image after the edits, added ones last.

        Args:
            image: Its id.
            tags: Its raw tags as they were read.
        """
        edits = self._by_image.get(image)
        return tuple(self.apply_weighted(image, dict.fromkeys(tags, 1.0))) if edits else tuple(tags)

    def apply_weighted(self, image: str, tags: Mapping[str, float]) -> dict[str, float]:
        """Does what `apply` does with weights; a tag that was added is sure, whatever was read.

        Args:
            image: Its id.
            tags: Raw tags with weights above 0 and up to 1.
        """
        edits = self._by_image.get(image, {})
        found: dict[str, float] = {}
        present = set()
        for tag, weight in tags.items():
            key = self._rules.fold(tag)
            edit = edits.get(key)
            if edit is None or edit.kind == "add":
                found[tag] = 1.0 if edit else weight
                present.add(key)
        for key, edit in edits.items():
            if edit.kind == "add" and key not in present:
                found[edit.tag] = 1.0
        return found

    def row(self, row: ImageRow) -> ImageRow:
        """Returns an image whose files carry the tags after the edits.

        Tags that no file had come to the first file.
        """
        if row.id not in self._by_image or not row.files:
            return row
        had = [self._with_edits(row.id, file.weighted_tags) for file in row.files]
        known = {self._rules.fold(tag) for file in row.files for tag in file.tags}
        new = {e.tag: 1.0 for e in self._added(row.id) if self._rules.fold(e.tag) not in known}
        had[0] |= new
        files = [file.with_tags(tags) for file, tags in zip(row.files, had, strict=True)]
        return replace(row, files=tuple(files))

    def _with_edits(self, image: str, tags: Mapping[str, float]) -> dict[str, float]:
        """Returns the tags of one file that stay, without those that were not there."""
        return {
            tag: weight for tag, weight in self.apply_weighted(image, tags).items() if tag in tags
        }

    def _added(self, image: str) -> list[TagEdit]:
        return [edit for edit in self.of(image) if edit.kind == "add"]


class EditLog:
    """The edits of one library, in the order in which they were made."""

    def __init__(self, path: Path) -> None:
        self._log = AppendLog(path, EDITS, "edit")

    def version(self) -> int:
        """Returns a number that grows whenever something is edited."""
        return self._log.version()

    def read(self) -> list[TagEdit]:
        """Returns all edits."""
        return _numbered(self._log.rows(), 1)

    def append(self, new: Sequence[NewTagEdit]) -> list[TagEdit]:
        """Adds edits, all or none, and returns them with the numbers that they got.

        Raises:
            LibraryError: One would undo what was never edited, or the library can't be written.
        """
        if not new:
            return []
        first, rows = self._log.append([dict(one.__dict__) for one in new])
        return _numbered(rows, first)


def _numbered(rows: Sequence[Mapping[str, Any]], first: int) -> list[TagEdit]:
    return [TagEdit(number, **row) for number, row in enumerate(rows, first)]
