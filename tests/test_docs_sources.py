"""The examples of docs/sources.md are read as it says."""

import re
import sqlite3
from pathlib import Path

import pytest

from tagkin.sources import FORMATS, ImageRecord, open_source

PAGE = (Path(__file__).parent.parent / "docs" / "sources.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
FOLDERS = ("folder", "hydrus", "imagefolder", "embedded")
WITHOUT_EXAMPLE = ("webdataset",)


def test_every_format_is_described() -> None:
    for name in FORMATS:
        assert f"`{name}`" in PAGE or f"[`{name}`]" in PAGE
        assert any(name in title.split() for title in SECTIONS)


@pytest.mark.parametrize("title", [t for t in SECTIONS if t not in WITHOUT_EXAMPLE])
def test_the_example_is_read_as_it_says(tmp_path: Path, title: str) -> None:
    blocks = re.findall(r"^```\w+ (\S+)\n(.*?)^```", SECTIONS[title], re.M | re.S)
    *files, (last, expected) = blocks
    assert last == "read"
    for name, content in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as database:
                database.executescript(content)
            database.close()
        else:
            path.write_text(content, "utf-8")
    for line in expected.splitlines():
        image = tmp_path / line.partition(":")[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    name = title.split()[0]
    source = open_source(tmp_path if name in FOLDERS else tmp_path / files[0][0])
    assert source.name == name
    read = [shown(item, tmp_path) for item in source if isinstance(item, ImageRecord)]
    assert read == expected.splitlines()


def shown(record: ImageRecord, root: Path) -> str:
    weights = [f" {weight}" for weight in record.weights] or [""] * len(record.tags)
    tags = " | ".join(tag + weight for tag, weight in zip(record.tags, weights, strict=True))
    return f"{record.path.relative_to(root).as_posix()}: {tags}"
