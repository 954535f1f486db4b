"""What each command needs: the settings, the library, the backbone, and where to write."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tagkin.files import printable
from tagkin.json_types import to_json_types
from tagkin.settings import Settings, load_settings

if TYPE_CHECKING:
    from tagkin.backbones import BackboneConfig
    from tagkin.library import Library
    from tagkin.records import Problem

BACKBONE_OPTIONS = ("model_architecture", "weights", "image_size", "fit", "views", "precision")
#: Options of ``prepare`` that the library remembers for later commands.
REMEMBERED_OPTIONS = (
    "min_tag_occurrences",
    "exclude_tags",
    "aliases",
    "fold_case",
    "unicode_form",
    "allow_truncated",
)


class Output:
    """Results on stdout, all else on stderr."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # Where no terminal says how wide it is, tables get a width that files and pipes can take.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
        self.results = Console(highlight=False, soft_wrap=True, width=width)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Prints one JSON document on one line; what is not a number becomes null."""
        value = to_json_types(value)
        text = json.dumps(value, ensure_ascii=False)
        try:
            text.encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:  # a path that is not UTF-8, or a stdout that isn't
            text = json.dumps(value)
        print(text, flush=True)

    def print(self, *what: Any, markup: bool = True) -> None:
        """Prints for a person; nothing if JSON was asked for."""
        if not self.as_json:
            self.results.print(*what, markup=markup)

    def note(self, text: str) -> None:
        """Tells something on stderr that is not part of the result."""
        self.notes.print(text, markup=False)

    def problems(self, problems: Iterable["Problem"], *, most: int = 20) -> None:
        """Names the files that could not be used, on stderr."""
        listed = list(problems)
        for problem in listed[:most]:
            self.note(f"  {printable(problem.path)}: {problem.reason}")
        if len(listed) > most:
            self.note(f"  ... and {len(listed) - most} more, all of them with --json")


def table(*columns: str, title: str | None = None, right: Iterable[int] = ()) -> Table:
    """Returns an empty table in the style of all commands."""
    made = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number in set(right) else "left")
    return made


class Session:
    """The settings and the library of one command."""

    def __init__(
        self, library: Path | None, options: Mapping[str, Any] | None = None, *, output: Output
    ) -> None:
        self.output = output
        self.options = {k: v for k, v in (options or {}).items() if v is not None}
        if library is not None:
            self.options["library"] = library
        self.settings: Settings = load_settings(self.options)

    def open_library(self) -> "Library":
        """Opens the library and adds what it remembers to the settings."""
        from tagkin.library import Library

        opened = Library.open(self.settings.library)
        self.settings = load_settings(self.options, opened.state.remembered)
        return opened

    def backbone(self, library: "Library") -> "BackboneConfig":
        """Returns the backbone that an option names, else the active one, else the settings'."""
        config = self._choose_backbone(library)
        if config.weights == "random":
            self.output.note(
                "note: the weights are random, so the vectors mean nothing; for tests only"
            )
        return config

    def wanted_backbone(self, library: "Library") -> "BackboneConfig | Settings":
        """Returns the active backbone if it is to be used as it is, else the settings of one."""
        from tagkin.backbones import BackboneConfig

        stored = library.state.active_backbone
        active = BackboneConfig.from_dict(stored) if stored else None
        asked = {name: self.options[name] for name in BACKBONE_OPTIONS if name in self.options}
        if active is None:
            return self.settings
        if not asked:
            return active
        name = _name_of(active)
        remembered = dict(library.state.remembered)
        if _same_model(asked.get("model_architecture", name), name):
            remembered |= {
                "model_architecture": name,
                "weights": "imagenet" if active.is_onnx else active.weights,
                "image_size": active.image_size,
                "views": () if "fit" in asked else active.views,
                "precision": active.precision,
            }
        return load_settings(self.options, remembered)

    def _choose_backbone(self, library: "Library") -> "BackboneConfig":
        from tagkin.backbones import resolve_backbone
        from tagkin.embeddings import LibrarySample

        sample = LibrarySample(library, self.settings)
        wanted = self.wanted_backbone(library)
        if isinstance(wanted, Settings):
            return resolve_backbone(wanted, sample, self.output.note)
        configured = self.settings.model_architecture
        default = Settings.model_fields["model_architecture"].default
        if configured not in (_name_of(wanted), default):
            self.output.note(
                f"note: using {wanted.architecture}, which this library was last embedded "
                f"with; pass --model {configured} to change to the one in the settings"
            )
        return wanted


def _name_of(config: "BackboneConfig") -> str:
    return f"onnx:{config.weights}" if config.is_onnx else config.architecture


def _same_model(asked: str, active: str) -> bool:
    def plain(name: str) -> str:
        onnx = name.startswith("onnx:")
        return str(Path(name.removeprefix("onnx:")).expanduser().absolute()) if onnx else name

    return plain(asked) == plain(active)
