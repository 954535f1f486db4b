"""What the commands that write tags share: their options, and how they tell what was done."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.writers.tagged import Change, TableChange

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="The file of csv, jsonl, coco or fiftyone, which list all images in one.",
        show_default=False,
    ),
]
NamesOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|short|full",
        help="Names of files beside an image cat.jpg: short is cat.txt, full cat.jpg.txt; auto "
        "takes the one that is there, else short for txt and lines, full for xmp and hydrus. "
        "(default: auto)",
        show_default=False,
    ),
]
UpdateOption = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Change files that exist: tags are added to files beside images and to images, "
        "whatever else they hold; an --output is written anew. Without it they are left alone.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be written, and change nothing.")
]
SeparatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Between the tags in a cell of csv; empty for a row for each tag. (default: |)",
        show_default=False,
    ),
]
TagsKeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="KEY.KEY",
        help="Where the tags are in JSON sidecars of Hydrus. (default: tags)",
        show_default=False,
    ),
]
OriginalsOption = Annotated[
    bool,
    typer.Option(
        "--originals/--no-originals",
        help="Whether embed keeps the original of an image as cat.jpg_original.",
    ),
]
FORMAT_HELP = (
    "txt (cat.txt beside cat.jpg, commas between the tags), lines (the same with a tag in each "
    "line), xmp (XMP beside it), hydrus (JSON beside it), embed (XMP in the image, by exiftool), "
    "csv, jsonl, coco or fiftyone."
)

_SHOWN = 200  # characters of a tag
_MOST = 20  # files named as left out or failed


class Report:
    """Counts what is written, and tells it.

    Args:
        output: Where to tell it.
        dry_run: Whether nothing is written, so that each change is shown.
    """

    def __init__(self, output: "Output", *, dry_run: bool) -> None:
        self._output = output
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._left_out: dict[str, None] = {}
        self._failed = 0

    @property
    def failed(self) -> bool:
        """Whether an image or a tag could not be written."""
        return bool(self._failed or self._left_out)

    def add(self, change: "Change") -> None:
        """Counts a change; tells what went wrong, and what would change in a dry run."""
        from tagkin.files import printable

        self._counts[change.kind] += 1
        self._left_out |= dict.fromkeys(change.left_out)
        if change.kind == "failed":
            self._failed += 1
            if self._failed <= _MOST:
                self._output.note(f"{printable(change.image)}: {change.problem}")
        elif self._dry_run and change.kind in ("made", "changed"):
            new = " (new)" if change.kind == "made" else ""
            self._output.print(f"{printable(change.file)}{new}", markup=False)
            for sign, tags in (("-", change.removed), ("+", change.added)):
                for tag in tags:
                    self._output.print(f"  {sign} {_plain(tag)}", markup=False)

    def close(self, table: "TableChange | None") -> None:
        """Tells how much was written, and what was not."""
        output, would = self._output, "would be " if self._dry_run else ""
        if table is not None:
            self._tell_table(table, would)
        else:
            done = {
                "made": f"{_files(self._counts['made'])} {would}made",
                "changed": f"{self._counts['changed']} {would}changed",
                "same": f"{self._counts['same']} need no change",
            }
            told = [text for kind, text in done.items() if self._counts[kind]]
            output.print(", ".join(told) or "nothing was written", markup=False)
        if kept := self._counts["kept"]:
            output.note(f"left as they are, since they exist: {_files(kept)}; --update adds tags")
        if self._failed > _MOST:
            output.note(f"... and {self._failed - _MOST} more that could not be written")
        if self._left_out:
            from tagkin.writers.tagged import first_few

            names = [_plain(tag) for tag in self._left_out]
            output.note(
                f"left out, since this format can't hold them: {first_few(names)}; jsonl holds any "
                "tag"
            )

    def _tell_table(self, table: "TableChange", would: str) -> None:
        from tagkin.files import printable

        output, name = self._output, printable(table.file)
        if table.kind == "same":
            output.print(f"{name} lists the same already", markup=False)
        else:
            if self._dry_run:
                for line in table.lines:
                    output.print(_plain(line), markup=False)
            lines = f" (+{table.added} -{table.removed} lines)" if table.kind == "changed" else ""
            output.print(f"{table.images} images {would}listed in {name}{lines}", markup=False)
        if table.outside:
            output.note(
                f"note: {table.outside} of the images lie outside of its folder and are listed by "
                "their whole path; 'tagkin prepare' reads them with --allow-outside"
            )

    def to_dict(self, table: "TableChange | None") -> dict[str, Any]:
        """Returns the counts as JSON has them."""
        told: dict[str, Any] = {"changes": dict(self._counts), "left_out": list(self._left_out)}
        if table is not None:
            told |= {
                "file": str(table.file),
                "table": table.kind,
                "images": table.images,
                "added_lines": table.added,
                "removed_lines": table.removed,
            }
        return told | {"dry_run": self._dry_run}


def _files(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number} files"


def _plain(text: str) -> str:
    """Returns a tag in one line that no terminal takes for a command."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
