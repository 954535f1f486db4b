"""The entry point ``tagkin``."""

import io
import os
import sys
from typing import Annotated

import typer

from tagkin import __version__
from tagkin.cli import (
    cache,
    check,
    demo,
    duplicates,
    embed,
    export,
    index,
    predict,
    prepare,
    recommend,
    serve,
    similar,
    thumbnails,
    train,
    variants,
)
from tagkin.cli.guard import guarded

app = typer.Typer(
    name="tagkin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


for module in (prepare, embed, train, predict, export, similar):
    app.command(module.NAME)(guarded(module.command))
app.add_typer(variants.app)
for module in (serve, thumbnails, duplicates, index, recommend, demo, check, cache):
    app.command(module.NAME)(guarded(module.command))


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
