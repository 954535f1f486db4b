"""What the commands on decisions share: the session, and how they tell what was decided."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tagkin.decisions import in_words

if TYPE_CHECKING:
    from tagkin.library import Library
    from tagkin.settings import Settings
    from tagkin.variants.deciding import Decided, TagDecisions


class Desk:
    """One command on decisions: its library, where to write, and how to call the next one."""

    def __init__(self, ctx: typer.Context, library: Path | None, json: bool) -> None:
        from tagkin.cli.session import Output, Session

        # An option may stand before the subcommand as well.
        before: dict[str, object] = ctx.obj or {}
        outer = before.get("library")
        self.named = library or (outer if isinstance(outer, Path) else None)
        self.output = Output(json or bool(before.get("json")))
        session = Session(self.named, output=self.output)
        self.library: Library = session.open_library()
        self.settings: Settings = session.settings

    def decisions(self) -> "TagDecisions":
        """Returns what takes decisions."""
        from tagkin.variants.deciding import TagDecisions

        return TagDecisions(self.library, self.settings)

    def tell(self, decided: "Decided", none: str = "nothing was decided") -> None:
        """Prints what was decided, what was not, and how to undo it."""
        output = self.output
        if output.as_json:
            output.json(
                {
                    "decided": [one.__dict__ for one in decided.decisions],
                    "skipped": decided.skipped,
                    "notes": decided.notes,
                }
            )
            return
        for one in decided.decisions:
            output.print(f"{one.number}: {in_words(one)}", markup=False)
        for text in decided.skipped:
            output.print(f"skipped {text}", markup=False)
        for text in decided.notes:
            output.note(f"note: {text}")
        if not decided.decisions:
            output.print(none)
        else:
            numbers = spans([one.number for one in decided.decisions])
            output.print(f"to undo: {command('undo ' + numbers, self.named)}", markup=False)


def command(rest: str, library: Path | None) -> str:
    """Returns a command on variants as the user would type it for the same library."""
    where = f" --library {shlex.quote(str(library))}" if library else ""
    return f"tagkin variants {rest}{where}"


def spans(numbers: Sequence[int]) -> str:
    """Returns ``3-5 9`` for 3, 4, 5 and 9, as ``undo`` takes it."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def from_spans(texts: Sequence[str]) -> list[int]:
    """Returns the numbers in what ``spans`` returns.

    Raises:
        DecisionError: Something is no number.
    """
    from tagkin.errors import DecisionError

    numbers: list[int] = []
    for text in texts:
        first, _, last = text.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and len(text) < 20):
            raise DecisionError(f"{text!r} is no number of a decision: write 3, or 3-5 for several")
        low, high = int(first), int(last or first)
        if not low <= high <= low + 100_000:
            raise DecisionError(f"{text!r} names no decisions: write the smaller number first")
        numbers += range(low, high + 1)
    return numbers
