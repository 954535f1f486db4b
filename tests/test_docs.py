"""The documentation says what the code does."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from tagkin.backbones import BACKBONES
from tagkin.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands.md", "settings.md"])
def test_reference_pages_are_up_to_date(name: str) -> None:
    page = load_generator().PAGES[name]()
    assert (ROOT / "docs" / name).read_text("utf-8") == page, "run python docs/generate.py"


def test_guide_names_every_command_and_every_backbone() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    for command in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"tagkin {command}" in guide
    for backbone in BACKBONES.values():
        row = next(line for line in guide.splitlines() if line.startswith(f"| `{backbone.name}`"))
        for figure in (backbone.year, backbone.image_size, backbone.dimension, backbone.top1):
            assert str(figure) in row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_the_docs_has_known_options(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^\$? ?tagkin (\S+)(.*)$", page.read_text("utf-8"), re.M):
        name, rest = line
        if name not in commands:
            assert name.startswith("-"), f"unknown command in {page.name}: tagkin {name}"
            continue
        command = commands[name]
        words = rest.split()
        if words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words[0]]
        known = {option for p in command.params for option in p.opts}
        used = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
        assert used <= known | {"--help"}, f"{page.name}: tagkin {name}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_python_snippets_of_the_guide_run(
    demo_copy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo_copy.path.rename(demo_copy.path.parent / "tagkin-demo")
    monkeypatch.chdir(demo_copy.path.parent)
    guide = (ROOT / "docs" / "guide.md").read_text("utf-8")
    snippets = re.findall(r"```python\n(.*?)```", guide, re.S)
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, "guide.md", "exec"), {})  # noqa: S102 - our own documentation
    assert "bird" in capsys.readouterr().out
