"""``tagkin similar``, ``tagkin duplicates`` and ``tagkin index``."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from conftest import Demo, RunTagkin


@pytest.fixture(scope="module")
def library(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("similar") / "library"
    shutil.copytree(demo_library.path, path)
    return path


def test_a_filter_and_a_page(
    run_tagkin: RunTagkin, library: Path, demo_images: list[Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = run_tagkin(
        "similar", str(demo_images[0]), str(demo_images[1]), "--library", str(library),
        "--where", "animal -bird", "--limit", "5", "--html", str(page), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["query"] == "2 images"
    assert len(found["images"]) == 5
    assert all("animal" in i["tags"] and "bird" not in i["tags"] for i in found["images"])
    text = page.read_text("utf-8")
    assert text.count("data:image/webp;base64,") == 5
    assert "<script" not in text
    assert "http:" not in text.replace("Content-Security", "")
    assert "animal -bird" in text


def test_ids_and_what_was_learned(run_tagkin: RunTagkin, library: Path) -> None:
    first = run_tagkin("similar", "--tag", "bird", "--learned", "--library", str(library), "--json")
    assert first.returncode == 0, first.stderr
    images = json.loads(first.stdout)["images"]
    assert sum("bird" in image["tags"] for image in images) >= 8
    done = run_tagkin("similar", images[0]["id"], "--library", str(library), "--json")
    assert images[0]["id"] not in {i["id"] for i in json.loads(done.stdout)["images"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name either images or --tag"),
        (("a.png", "--tag", "bird"), "name either images or --tag"),
        (("a.png", "--learned"), "--learned needs --tag"),
        (("--tag", "birdd"), "did you mean 'bird'"),
        (("--tag", "bird", "--where", "date:soon"), "is no date"),
        (("--tag", "bird", "--where", "nobodyhasthis"), "no image carries"),
        (("0" * 32,), "no image"),
        (("nowhere.png",), "nowhere.png"),
    ],
)
def test_mistakes_are_explained(
    run_tagkin: RunTagkin, library: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run_tagkin("similar", *arguments, "--library", str(library))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_duplicates_as_table_and_json(run_tagkin: RunTagkin, library: Path, tmp_path: Path) -> None:
    table = tmp_path / "duplicates.csv"
    arguments = ("duplicates", "--library", str(library), "--distance", "12")
    done = run_tagkin(*arguments, "--csv", str(table), "--json")
    groups = json.loads(done.stdout)["groups"]
    assert groups
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == {i["id"] for g in groups for i in g["images"]}
    assert {row["id"] for row in rows if row["keep"] == "yes"} == {g["keep"] for g in groups}
    shown = run_tagkin(*arguments)
    assert f"{len(groups)} groups" in shown.stdout


def test_an_index_is_made_when_asked_for_and_checked(run_tagkin: RunTagkin, library: Path) -> None:
    without = run_tagkin("index", "--check", "--library", str(library))
    assert without.returncode == 2
    assert "tagkin index --force" in without.stderr
    plain = run_tagkin("index", "--library", str(library), "--json")
    assert json.loads(plain.stdout)["made"] is False
    made = run_tagkin("index", "--force", "--library", str(library), "--json")
    assert json.loads(made.stdout)["index"]["recall"] >= 0.98
    checked = json.loads(run_tagkin("index", "--check", "--library", str(library), "--json").stdout)
    assert checked["check"]["recall"] >= 0.95
    found = run_tagkin("similar", "--tag", "bird", "--library", str(library), "--json")
    assert len(json.loads(found.stdout)["images"]) == 10


def test_a_damaged_index_says_how_to_mend_it(run_tagkin: RunTagkin, library: Path) -> None:
    run_tagkin("index", "--force", "--library", str(library))
    file = next(library.glob("indexes/*/index.faiss"))
    file.write_bytes(file.read_bytes()[:1000])
    done = run_tagkin("similar", "--tag", "bird", "--library", str(library))
    assert done.returncode == 2
    assert "tagkin index" in done.stderr
    mended = run_tagkin("index", "--force", "--library", str(library))
    assert mended.returncode == 0, mended.stderr
    assert run_tagkin("similar", "--tag", "bird", "--library", str(library)).returncode == 0
