"""Writes advice into ``tagkin.toml``: a few lines change, all else stays as it is."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagkin.errors import SettingsError
from tagkin.files import atomic_file

_HEADER = "# Settings of Tagkin; 'tagkin recommend --apply' wrote what is below.\n"


@dataclass(frozen=True)
class Change:
    """One setting.

    Attributes:
        name: Of the setting.
        before: As the file had it; None if it hadn't.
        after: As it has it now.
    """

    name: str
    before: object
    after: object


def changes(path: Path, wanted: Mapping[str, str | int]) -> list[Change]:
    """Returns what writing some settings would change.

    Args:
        path: Of ``tagkin.toml``; it need not exist.
        wanted: Settings of the top level by name.

    Raises:
        SettingsError: The file can't be read as TOML.
    """
    known = _parsed(_read(path), path)
    return [
        Change(name, known.get(name), value)
        for name, value in wanted.items()
        if known.get(name) != value
    ]


def apply(path: Path, wanted: Mapping[str, str | int]) -> list[Change]:
    """Writes settings into ``tagkin.toml`` in one step, and keeps comments and other settings.

    Args:
        path: Of the file; made if missing.
        wanted: Settings of the top level by name.

    Returns:
        What changed.

    Raises:
        SettingsError: The file can't be read as TOML, has a setting in a form that can't be
            replaced, or can't be written.
    """
    todo = changes(path, wanted)
    if not todo:
        return []
    text = _read(path) or _HEADER
    for change in todo:
        text = _with(text, change.name, _toml(wanted[change.name]))
    if not _holds(text, {**_parsed(_read(path), path), **wanted}):
        # Such as a setting that goes over several lines.
        names = ", ".join(f"{name} = {_toml(wanted[name])}" for name in wanted)
        raise SettingsError(
            f"{path} has these settings in an unusual form: set them there: {names}"
        )
    try:
        with atomic_file(path.resolve()) as temporary:
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error}") from error
    return todo


def _with(text: str, name: str, value: str) -> str:
    """Returns the text with a setting of the top level, which comes before the first table."""
    table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    top, rest = (text[: table.start()], text[table.start() :]) if table else (text, "")
    line = re.compile(rf"^([ \t]*{name}[ \t]*=[ \t]*)([^#\n]*?)([ \t]*(?:#.*)?)$", re.MULTILINE)
    if line.search(top):
        return line.sub(lambda found: f"{found[1]}{value}{found[3]}", top, count=1) + rest
    body = top.rstrip("\n")
    gap = "\n" if rest else ""
    return "\n".join([*([body] if body else []), f"{name} = {value}\n"]) + gap + rest


def _holds(text: str, expected: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False


def _toml(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from error


def _parsed(text: str, path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
