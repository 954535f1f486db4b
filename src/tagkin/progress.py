"""How long work reports its progress; the command line draws it, the library only calls it."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is being done, how much is done, and how much there is in all."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Reports that ``done`` of ``total`` units of ``stage`` are done."""


def silent(stage: str, done: int, total: int) -> None:
    """Reports nothing; the default of every function that takes a ``Progress``."""
