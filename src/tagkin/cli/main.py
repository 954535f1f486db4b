"""The entry point ``tagkin``."""

import os
import sys
from typing import Annotated

import typer

from tagkin import __version__
from tagkin.cli import demo, embed, predict, prepare, similar, train, variants
from tagkin.errors import TagkinError

app = typer.Typer(
    name="tagkin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (prepare, embed, train, predict, similar, variants, demo):
    app.command(command.NAME)(command.command)


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
    """Runs the command line; a mistake of the user's is one clear message and exit code 2."""
    try:
        app()
    except TagkinError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "stopped; what was stored stays, and the same command goes on from there",
            file=sys.stderr,
        )
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
