"""The entry point ``tagkin``."""

import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tagkin import __version__
from tagkin.cli import cache, demo, embed, predict, prepare, similar, train, variants
from tagkin.errors import TagkinError

app = typer.Typer(
    name="tagkin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
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


for module in (prepare, embed, train, predict, similar, variants, demo, cache):
    app.command(module.NAME)(_guarded(module.command))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tagkin {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Kin of your tags, kin of your images.

    Learn a collection's own tags, find similar images, and discover tags that mean the same.
    """


def run() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every output can show every tag, and a file name need not be valid UTF-8.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
