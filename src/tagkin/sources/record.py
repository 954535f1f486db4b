"""What a source yields, and what a source is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tagkin.splits import Split


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of the collection with its tags as the owner wrote them.

    Attributes:
        path: Absolute. Symbolic links in it are kept, for it is how the owner knows the image.
            Nobody has looked at the content yet; the file need not even exist.
        tags: Without surrounding white space and without empty ones, else raw, in their order.
        weights: How sure each of the tags is, from 0 (as if it weren't there) to 1; empty if all
            are 1.
        split: Where the owner wants the image; None leaves it to Tagkin.
    """

    path: Path
    tags: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that a source couldn't read, and went on without.

    Attributes:
        path: The file or folder in question.
        reason: One line for the owner; names the line or row if there is one.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that a source left out on purpose; it is counted, not listed.

    Attributes:
        reason: A few words that many have in common, such as ``video``.
    """

    reason: str


Item = ImageRecord | SourceProblem | Skipped


class Source(Protocol):
    """A collection that can be read from start to end, any number of times.

    Iteration holds one record at a time in memory (a folder source: the names of the folders on
    the way down). A bad row or folder comes out as a `SourceProblem` and doesn't end it.
    """

    @property
    def path(self) -> Path:
        """The folder or file, absolute."""

    @property
    def name(self) -> str:
        """The convention in one word, as ``--format`` takes it."""

    @property
    def description(self) -> str:
        """How the source was understood, for the owner to check."""

    def __iter__(self) -> Iterator[Item]:
        """Reads the source."""

    def count(self) -> Iterator[None]:
        """Goes through the source as quickly as can be, an item at a time."""
