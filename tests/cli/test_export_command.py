"""``tagkin export``, and ``tagkin predict --to``."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Demo, RunTagkin
from helpers_collection import add, picture

from tagkin.library import Library
from tagkin.sources import ImageRecord, open_source


@pytest.fixture
def cwd(tmp_path: Path, run_tagkin: RunTagkin) -> Path:
    """The folder that commands run in, with a library of four images."""
    folder = tmp_path / "cwd"
    for number, tags in enumerate(["kitty", "Cat, garden", "CAT, pup", None]):
        add(folder, f"images/{number}.png", picture(number), tags)
    done = run_tagkin("prepare", "images", "--min-tag-occurrences", "1")
    assert done.returncode == 0, done.stderr
    return folder


def tags_in(path: Path, **options: str) -> dict[str, tuple[str, ...]]:
    source = open_source(path, **options)  # type: ignore[arg-type]
    return {one.path.name: one.tags for one in source if isinstance(one, ImageRecord)}


def test_the_library_as_sidecars_and_after_a_merge(cwd: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("export", "--to", "xmp", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "images/1.png.xmp (new)\n  + cat\n  + garden\n" in done.stdout
    assert "3 files would be made, 1 need no change" in done.stdout
    assert not list(cwd.rglob("*.xmp"))
    done = run_tagkin("export", "--to", "xmp", "--json")
    assert json.loads(done.stdout)["changes"] == {"made": 3, "same": 1}
    expected = {
        "0.png": ("kitty",),
        "1.png": ("cat", "garden"),
        "2.png": ("cat", "pup"),
        "3.png": (),
    }
    assert tags_in(cwd / "images", format="embedded") == expected

    assert run_tagkin("variants", "merge", "cat", "kitty", "--canonical", "cat").returncode == 0
    done = run_tagkin("export", "--to", "xmp")
    assert "left as they are, since they exist: 1 file; --update adds tags" in done.stderr
    assert tags_in(cwd / "images", format="embedded") == expected
    done = run_tagkin("export", "--to", "xmp", "--update", "--drop-old-names", "--dry-run")
    assert "images/0.png.xmp\n  - kitty\n  + cat\n" in done.stdout
    done = run_tagkin("export", "--to", "xmp", "--update", "--drop-old-names")
    assert (done.returncode, done.stdout) == (0, "1 changed, 3 need no change\n")
    assert tags_in(cwd / "images", format="embedded")["0.png"] == ("cat",)
    # What was read stays as it is.
    assert (cwd / "images" / "0.png.txt").read_text() == "kitty"


def test_the_library_as_a_table_that_can_be_read_again(cwd: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("export", "--to", "jsonl", "--output", "tags.jsonl", "--raw")
    assert (done.returncode, done.stderr) == (0, "")
    assert tags_in(cwd / "tags.jsonl")["2.png"] == ("CAT", "pup")
    done = run_tagkin("export", "--to", "jsonl", "--output", "tags.jsonl")
    assert done.returncode == 2
    assert "--update" in done.stderr
    done = run_tagkin("export", "--to", "jsonl", "--output", "tags.jsonl", "--update")
    assert "(+2 -2 lines)" in done.stdout
    assert tags_in(cwd / "tags.jsonl")["2.png"] == ("cat", "pup")


def test_what_can_not_be_written_is_said(cwd: Path, run_tagkin: RunTagkin) -> None:
    (cwd / "images" / "3.png").unlink()
    (cwd / "images" / "0.png.txt").write_text("a, b\nc")
    done = run_tagkin("prepare", "images", "--min-tag-occurrences", "1")
    assert done.returncode == 0, done.stderr
    (cwd / "images" / "2.png").unlink()
    done = run_tagkin("export", "--to", "txt", "--names", "short")
    assert done.returncode == 1
    assert "2.png: the image is no longer there" in done.stderr
    assert "'a, b'; jsonl holds any tag" in done.stderr
    assert "3.png" not in done.stderr
    assert (cwd / "images" / "0.txt").read_text() == "c\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["export", "--to", "pdf"], "choose from: txt"),
        (["export", "--to", "csv"], "--output"),
        (["export", "--to", "xmp", "--tags", "all"], "own, predicted, both"),
        (["export", "--to", "xmp", "--drop-old-names"], "--update"),
        (["export", "--to", "xmp", "--tags", "predicted"], "tagkin train"),
        (["predict", "images", "--update"], "--to FORMAT"),
    ],
)
def test_a_mistake_is_one_clear_message(
    cwd: Path, run_tagkin: RunTagkin, arguments: list[str], expected: str
) -> None:
    done = run_tagkin(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_predictions_beside_new_images(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    for number, image in enumerate(demo_images[:3]):
        shutil.copy(image, new / f"{number}.webp")
    (new / "bad.png").write_text("no image")
    (new / "0.txt").write_text("mine")
    library = ("--library", demo_library.path)
    arguments = ("predict", new, "--to", "txt", "--top", "2", *library)
    done = run_tagkin(*arguments, "--update", "--dry-run")
    assert (done.returncode, "bad.png" in done.stderr) == (1, True)
    assert "2 files would be made, 1 would be changed" in done.stdout
    assert (new / "0.txt").read_text() == "mine"
    done = run_tagkin(*arguments, "--update", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in one for one in told] == [False, False, False, True]
    named = {Path(one["path"]).name: [t["tag"] for t in one["tags"]] for one in told[:3]}
    written = tags_in(new)
    assert written["0.webp"] == ("mine", *named["0.webp"])
    assert written["1.webp"] == tuple(named["1.webp"])
    assert told[1]["written"]["added"] == named["1.webp"]

    done = run_tagkin("predict", new, "--to", "csv", "--output", tmp_path / "new.csv", *library)
    assert done.returncode == 1
    records = [one for one in open_source(tmp_path / "new.csv") if isinstance(one, ImageRecord)]
    assert [one.path.name for one in records] == ["0.webp", "1.webp", "2.webp"]


def test_predictions_for_the_library(
    demo_library: Demo, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    tables = {}
    for tags in ("own", "predicted", "both"):
        path = tmp_path / f"{tags}.jsonl"
        options = ("--to", "jsonl", "--output", path, "--tags", tags)
        done = run_tagkin("export", *options, "--library", demo_library.path)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        tables[tags] = {line["file_name"]: line for line in lines}
    images = sum(len(row.files) for row in Library.open(demo_library.path).images())
    assert {len(table) for table in tables.values()} == {images}
    hits = 0
    for name, both in tables["both"].items():
        own, predicted = tables["own"][name]["tags"], tables["predicted"][name]["tags"]
        assert both["tags"] == [*own, *(tag for tag in predicted if tag not in own)]
        assert "weights" not in tables["own"][name]
        hits += bool(set(own) & set(predicted))
    assert hits > images / 2
