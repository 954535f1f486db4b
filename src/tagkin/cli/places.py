"""Paths that may also be addresses, as people type them."""

from pathlib import Path

import typer

from tagkin.remote_paths import as_path


def place(text: str) -> Path:
    """Returns the path of a file or folder here, on an object store or on a web server."""
    try:
        return as_path(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
