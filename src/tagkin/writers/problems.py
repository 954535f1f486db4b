"""Errors that name lines and tags."""

from collections.abc import Sequence

from tagkin.errors import ExchangeError

_SHOWN = 5


def raise_line_problems(problems: Sequence[tuple[int, str]]) -> None:
    """Raises an error that names the lines with problems, if there are any."""
    if problems:
        told = "; ".join(f"line {line}: {what}" for line, what in problems[:_SHOWN])
        more = len(problems) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        raise ExchangeError(f"{told}{rest}. Nothing was imported: correct the file and try again")


def refuse_tags(format_name: str, why: str, tags: Sequence[str]) -> None:
    """Raises an error that names tags that a format can't carry, if there are any."""
    if tags:
        told = ", ".join(repr(tag) for tag in tags[:_SHOWN])
        more = f" and {len(tags) - _SHOWN} more" if len(tags) > _SHOWN else ""
        raise ExchangeError(
            f"the format {format_name} can't carry {told}{more}, {why}: export as csv, or undo the "
            "decisions on them"
        )
