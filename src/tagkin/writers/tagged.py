"""Images whose tags are to be written, and what became of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

#: Brings the spellings of one tag into the same form.
Fold = Callable[[str], str]
Kind = Literal["made", "changed", "same", "kept", "listed", "failed"]


#: Why nothing is written beside or into an image on an object store or a web server.
ELSEWHERE = (
    "the image is on a store or a web server, where nothing is written: write one file for all "
    "images instead, with --to csv or jsonl"
)


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """An image with the tags that others are to see.

    Attributes:
        path: Absolute.
        tags: In their order, with weights above 0 and up to 1.
        unwanted: Tags to take out of a file that has them.
        size: Width and height in pixels, if they are known.
    """

    path: Path
    tags: Mapping[str, float]
    unwanted: frozenset[str] = frozenset()
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What was done, or would be done, for one image.

    Attributes:
        image: The image.
        file: The file that holds its tags.
        kind: ``made`` (there was no such file), ``changed``, ``same`` (nothing to do), ``kept``
            (it exists, and only an update may change it), ``listed`` (a line of a table), or
            ``failed``.
        added: Tags that came to the file, or would with an update.
        removed: Tags that went out of it, or would with an update.
        left_out: Tags that can't be written in this format.
        problem: Why it failed.
    """

    image: Path
    file: Path
    kind: Kind
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that say something, as JSON has them."""
        said = {name: getattr(self, name) for name in ("added", "removed", "left_out", "problem")}
        told = {name: value for name, value in said.items() if value}
        return {"path": str(self.image), "file": str(self.file), "change": self.kind, **told}


@dataclass(frozen=True, slots=True)
class TableChange:
    """What became of a table as a whole.

    Attributes:
        file: The table.
        kind: ``made``, ``changed`` or ``same``.
        images: How many it lists.
        added: Number of lines that were not in it before.
        removed: Number of lines that are no longer in it.
        outside: How many of the images lie outside of the table's folder.
        lines: Some of these lines as a diff shows them.
    """

    file: Path
    kind: Kind
    images: int
    added: int = 0
    removed: int = 0
    outside: int = 0
    lines: tuple[str, ...] = field(default=())


class TagWriter(Protocol):
    """Writes the tags of one image after the other."""

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cleans up; a table that isn't finished is given up."""

    def write(self, image: TaggedImage) -> Change:
        """Writes the tags of an image; what goes wrong is a `Change` that says so.

        Raises:
            ExportError: There is no sense in going on.
        """

    def finish(self) -> TableChange | None:
        """Puts a table into its place; returns None if there is a file for each image.

        Raises:
            ExportError: It can't be written.
        """


def compare(
    have: Iterable[str], image: TaggedImage, fold: Fold
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the tags that a file lacks, and those of its own that are not wanted.

    Args:
        have: The tags that are in the file.
        image: What should be in it. A tag is there in any spelling that folds to the same.
        fold: How spellings are compared.
    """
    there = list(have)
    known = {fold(tag) for tag in there}
    wanted = {fold(tag) for tag in image.tags}
    unwanted = {fold(tag) for tag in image.unwanted} - wanted
    missing: dict[str, str] = {}
    for tag in image.tags:
        if (key := fold(tag)) not in known:
            missing.setdefault(key, tag)
    gone = tuple(dict.fromkeys(tag for tag in there if fold(tag) in unwanted))
    return tuple(missing.values()), gone


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Returns names for a message: the first of them, and how many more there are."""
    told = ", ".join(repr(name) for name in names[:most])
    return f"{told} and {len(names) - most} more" if len(names) > most else told
