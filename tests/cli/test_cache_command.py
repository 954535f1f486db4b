"""``tagkin cache``: what it lists, what it deletes, and what it refuses to."""

import json
from pathlib import Path

import pytest
from conftest import RunTagkin

from tagkin.files import checksum


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with two backbones of 1.5 MB, the second of which is damaged."""
    folder = tmp_path / "a [red]cache"
    for key in ("resnet50-224-0123", "vit-384-4567"):
        entry = folder / "graphs" / key
        entry.mkdir(parents=True)
        (entry / "model.xml").write_text("<net/>")
        (entry / "model.bin").write_bytes(bytes(1_500_000))
        sums = {file: checksum(entry / file) for file in ("model.xml", "model.bin")}
        (entry / "checksums.json").write_text(json.dumps(sums))
    (folder / "graphs" / "vit-384-4567" / "model.bin").write_bytes(bytes(1_500_001))
    return folder


def names(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "graphs").iterdir())


def test_lists_what_is_there(cache: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("cache", env={"TAGKIN_CACHE_DIR": str(cache)})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    (whole,) = [line for line in lines if "resnet50-224-0123" in line]
    assert "1.5" in whole
    assert "ok" in whole
    (damaged,) = [line for line in lines if "vit-384-4567" in line]
    assert "damaged or unfinished" in damaged  # the rest may be on the next line
    assert f"2 exported backbones, 3.0 MB in {cache}" in done.stdout
    assert names(cache) == ["resnet50-224-0123", "vit-384-4567"]


def test_lists_as_json(cache: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("cache", "--json", env={"TAGKIN_CACHE_DIR": str(cache)})
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    assert listed["cache_dir"] == str(cache)
    assert [entry["key"] for entry in listed["entries"]] == names(cache)
    assert [entry["whole"] for entry in listed["entries"]] == [True, False]
    assert listed["bytes"] == sum(entry["bytes"] for entry in listed["entries"]) > 3_000_000


@pytest.mark.parametrize("options", [[], ["--clear"]])
def test_an_empty_cache_is_no_mistake(
    options: list[str], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    done = run_tagkin("cache", *options, env={"TAGKIN_CACHE_DIR": str(absent)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 exported backbones" in done.stdout
    assert not absent.exists()


def test_clears_all(cache: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("cache", "--clear", env={"TAGKIN_CACHE_DIR": str(cache)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "cleared 2 exported backbones, 3.0 MB" in done.stdout
    assert names(cache) == []


def test_clears_by_name(cache: Path, run_tagkin: RunTagkin) -> None:
    arguments = ("cache", "--clear", "vit-384-4567", "--json")
    done = run_tagkin(*arguments, env={"TAGKIN_CACHE_DIR": str(cache)})
    assert (done.returncode, done.stderr) == (0, "")
    cleared = json.loads(done.stdout)
    assert [entry["key"] for entry in cleared["cleared"]] == ["vit-384-4567"]
    assert "entries" not in cleared
    assert names(cache) == ["resnet50-224-0123"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--clear", "vit"], "no entry 'vit'"),
        (["--clear", "resnet50-224-0123", "../graphs"], "no entry '../graphs'"),
        (["resnet50-224-0123"], "--clear"),
    ],
)
def test_a_mistake_deletes_nothing(
    arguments: list[str], expected: str, cache: Path, run_tagkin: RunTagkin
) -> None:
    done = run_tagkin("cache", *arguments, env={"TAGKIN_CACHE_DIR": str(cache)})
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert names(cache) == ["resnet50-224-0123", "vit-384-4567"]
