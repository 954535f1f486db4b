"""Writes the reference pages ``docs/commands.md`` and ``docs/settings.md`` from the code.

python docs/generate.py          write them
python docs/generate.py --check  exit with 1 if they are out of date
"""

import argparse
import sys
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic_core import PydanticUndefined

from tagkin.cli.main import app
from tagkin.settings import CONFIG_FILE, ENV_PREFIX, Settings, user_cache

DOCS = Path(__file__).parent
_NOTICE = "<!-- Made by docs/generate.py; edit the help texts in the code instead. -->\n"


def commands_page() -> str:
    """Returns the page of all commands with their arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = [f"# Commands\n\n{_NOTICE}"]
    for name, command in group.commands.items():
        parts.append(_command_section(name, command))
        parts += [
            _command_section(f"{name} {sub}", subcommand, "###")
            for sub, subcommand in getattr(command, "commands", {}).items()
        ]
    return "\n".join(parts)


def _command_section(name: str, command: Any, level: str = "##") -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["tagkin", name, "[OPTIONS]", *(_argument_name(p) for p in arguments)])
    rows = [(f"`{_argument_name(p)}`".replace("|", "\\|"), p.help or "") for p in arguments]
    rows += [(f"`{_option_name(p)}`", _option_help(p)) for p in options]
    table = "\n".join(f"| {left} | {right} |" for left, right in rows)
    return f"{level} {name}\n\n{command.help}\n\n```\n{usage}\n```\n\n| | |\n|---|---|\n{table}\n"


def settings_page() -> str:
    """Returns the page of all settings with their defaults."""
    rows = [
        f"| `{name}` | {_default(field)} | {_values(field)}{field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return (
        f"# Settings\n\n{_NOTICE}\n"
        "A setting comes from, in rising order: the default, the environment "
        f"(`{ENV_PREFIX}MIN_TAG_OCCURRENCES=5`), a `{CONFIG_FILE}` in the current folder "
        "(`min_tag_occurrences = 5`), what the library remembers of options given to "
        "`tagkin prepare`, and the options of the command. An unknown name is an error.\n\n"
        "Manual aliases are a table of their own:\n\n"
        '```toml\nmin_tag_occurrences = 5\nexclude_tags = ["repost"]\n\n'
        '[aliases]\nkitty = "cat"\n```\n\n'
        "| setting | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


PAGES = {"commands.md": commands_page, "settings.md": settings_page}


def main() -> None:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [name for name, page in PAGES.items() if not _is_current(DOCS / name, page())]
    if check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python docs/generate.py")
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), "utf-8")


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _argument_name(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _option_name(parameter: Any) -> str:
    metavar = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
    return (", ".join(parameter.opts) + metavar).replace("|", "\\|")


def _option_help(parameter: Any) -> str:
    default = parameter.default
    told = "(default" in (parameter.help or "") or default is None or parameter.is_flag
    text = (parameter.help or "") + ("" if told else f" (default: {default})")
    return text.replace("|", "\\|")


def _default(field: Any) -> str:
    if field.default_factory is user_cache:
        return "the user's cache folder"
    if field.default is PydanticUndefined:
        return "none"
    if field.default is None:
        return "not set"
    return f"`{field.default}`" if field.default not in ((), {}) else "none"


def _values(field: Any) -> str:
    values = [value for value in get_args(field.annotation) if isinstance(value, str)]
    return f"{', '.join(f'`{value}`' for value in values)}: " if values else ""


if __name__ == "__main__":
    main()
