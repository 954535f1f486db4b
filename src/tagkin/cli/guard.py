"""What stands between a command and its user when something goes wrong."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from tagkin.errors import TagkinError


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turns a user's mistake into one clear message and exit code 2, never a traceback."""

    @functools.wraps(command)
    def run_command(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except TagkinError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stop:
            told = "stopped; what was stored stays, and the same command goes on from there"
            print(told, file=sys.stderr)
            raise typer.Exit(130) from stop
        except BrokenPipeError:
            raise
        except OSError as error:  # the disk or a permission, where no message of ours was due
            print(f"error: {error}; nothing that was stored is lost", file=sys.stderr)
            raise typer.Exit(1) from error

    return run_command
