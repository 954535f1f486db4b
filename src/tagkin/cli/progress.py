"""Progress bars on stderr, for work that takes longer than a second."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

_SHOW_AFTER = 1.0


class ProgressBars:
    """A context in which the object itself is the ``progress`` argument of the library.

    The work need not know whether anybody looks: nothing is drawn in the first second, nor if
    stderr is not a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._visible = console.is_terminal
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars.live.is_started:  # stopping what never started would print an empty line
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Reports that ``done`` of ``total`` units of ``stage`` are done."""
        if not self._visible:
            return
        now = time.monotonic()
        if stage not in self._tasks:
            self._tasks[stage] = (self._bars.add_task(stage, total=total or None, rate=""), now)
        task, started = self._tasks[stage]
        if now - started > _SHOW_AFTER and not self._bars.live.is_started:
            self._bars.start()
        rate = f"{done / (now - started):.1f}/s" if now > started else ""
        self._bars.update(task, completed=done, total=total or None, rate=rate)
