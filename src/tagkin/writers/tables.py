"""One file that lists all images, written beside its place and moved there when it is whole."""

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from tagkin.errors import ExportError
from tagkin.files import working_folder
from tagkin.writers.tagged import Change, Kind, TableChange, TaggedImage

_SHOWN = 10  # lines of each kind in a diff


class TableFormat(Protocol):
    """Writes images into a file that is open."""

    def carries(self, tag: str) -> bool:
        """Returns whether a tag can be written at all."""

    def begin(self, file: IO[bytes]) -> None:
        """Writes what comes before the first image."""

    def add(self, file: IO[bytes], name: str, image: TaggedImage) -> None:
        """Writes an image.

        Args:
            file: The table.
            name: The image's path as the table has it.
            image: Only with tags that can be written.

        Raises:
            ValueError: The format can't hold the name.
        """

    def end(self, file: IO[bytes]) -> None:
        """Writes what comes behind the last image."""


class TableWriter:
    """Lists images in a file, which appears when it is whole.

    Args:
        form: The format.
        target: The file.
        update: Whether it may be written anew if it exists.
        dry_run: Whether to change nothing at all.

    Raises:
        ExportError: It exists, or there is no folder for it.
    """

    def __init__(
        self, form: TableFormat, target: Path, *, update: bool = False, dry_run: bool = False
    ) -> None:
        if target.is_dir():
            raise ExportError(f"{target} is a folder: name a file for --output")
        if target.exists() and not update:
            raise ExportError(
                f"{target} exists: name another file, or pass --update to write it anew"
            )
        self._form = form
        # Through a link the file that it leads to is written, and the link stays.
        self._target = Path(os.path.realpath(target)) if target.is_symlink() else target.absolute()
        self._base = target.absolute().parent
        self._dry_run = dry_run
        self._images = 0
        self._outside = 0

    def __enter__(self) -> Self:
        """Begins the file beside its place.

        Raises:
            ExportError: It can't be written there.
        """
        with ExitStack() as stack:
            try:
                if self._dry_run:
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                else:
                    folder = stack.enter_context(
                        working_folder(self._target.parent, ".tagkin-writing-")
                    )
                self._path = folder / "table"
                self._file = stack.enter_context(self._path.open("wb"))
                self._form.begin(self._file)
            except OSError as error:
                raise ExportError(f"can't write {self._target}: {error}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes what was not moved into its place."""
        self._stack.close()

    def write(self, image: TaggedImage) -> Change:
        """Lists an image.

        Raises:
            ExportError: The disk is full or the like.
        """
        below = image.path.is_relative_to(self._base)
        name = str(image.path.relative_to(self._base) if below else image.path)
        kept = {tag: weight for tag, weight in image.tags.items() if self._form.carries(tag)}
        left_out = tuple(tag for tag in image.tags if tag not in kept)
        try:
            self._form.add(self._file, name, TaggedImage(image.path, kept, size=image.size))
        except ValueError as error:
            return Change(image.path, self._target, "failed", problem=str(error))
        except OSError as error:
            raise ExportError(f"can't write {self._target}: {error}") from error
        self._images += 1
        self._outside += not below
        return Change(image.path, self._target, "listed", tuple(kept), left_out=left_out)

    def finish(self) -> TableChange:
        """Moves the file into its place, unless it is the same as before.

        Raises:
            ExportError: It can't be written.
        """
        try:
            self._form.end(self._file)
            self._file.flush()
            change = self._compare()
            if not self._dry_run and change.kind != "same":
                os.fsync(self._file.fileno())
                mode = self._target.stat().st_mode if self._target.exists() else 0o644
                self._path.chmod(stat.S_IMODE(mode))
                self._path.replace(self._target)
        except OSError as error:
            raise ExportError(f"can't write {self._target}: {error}") from error
        return change

    def _compare(self) -> TableChange:
        if not self._target.exists():
            return TableChange(self._target, "made", self._images, outside=self._outside)
        with self._path.open("rb") as new, self._target.open("rb") as old:
            gone = list(_only_in(old, new))
            come = list(_only_in(new, old))
            same = not gone and not come and _equal(new, old)
            shown = (*_lines(old, gone, "-"), *_lines(new, come, "+"))
        kind: Kind = "same" if same else "changed"
        return TableChange(
            self._target, kind, self._images, len(come), len(gone), self._outside, shown
        )


def _only_in(one: IO[bytes], other: IO[bytes]) -> Iterator[int]:
    """Yields where the lines begin that another file doesn't have; in numbers, to save memory."""
    other.seek(0)
    known = {hash(line) for line in other}
    one.seek(0)
    place = 0
    for line in one:
        if hash(line) not in known:
            yield place
        place += len(line)


def _lines(file: IO[bytes], places: Iterable[int], sign: str) -> Iterator[str]:
    for number, place in enumerate(places):
        if number == _SHOWN:
            yield f"{sign} ..."
            return
        file.seek(place)
        yield f"{sign} {file.readline().decode('utf-8', 'replace').rstrip()}"


def _equal(one: IO[bytes], other: IO[bytes]) -> bool:
    """Returns whether two files are the same, also in the order of their lines."""
    one.seek(0)
    other.seek(0)
    return all(a == b for a, b in zip_longest(one, other))
