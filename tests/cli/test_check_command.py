"""``tagkin check`` as it is typed."""

import json
from pathlib import Path

import pytest
from conftest import RunTagkin
from helpers_collection import collection


@pytest.fixture
def library(tmp_path: Path, run_tagkin: RunTagkin) -> Path:
    path = tmp_path / "library"
    source = collection(tmp_path / "pictures", 8)
    done = run_tagkin("prepare", source, "--library", path)
    assert done.returncode == 0, done.stderr
    return path


def test_what_is_found_and_mended(library: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("check", "--library", library)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is wrong" in done.stdout
    assert "8 images" in done.stdout

    # The last: groups and splits were written into a new one.
    rows = max((library / "images.lance" / "data").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    rows.write_bytes(rows.read_bytes()[:100])
    done = run_tagkin("check", "--library", library, "--hash")
    assert done.returncode == 1
    assert "images.lance" in done.stdout
    assert "to be done: 1" in done.stdout

    done = run_tagkin("check", "--library", library, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["clean"]) == (1, False)
    (found,) = report["findings"]
    assert (found["level"], found["part"], found["count"]) == ("damage", "images", 8)
    assert found["examples"] == [str(rows)]

    done = run_tagkin("check", "--library", library, "--repair")
    assert done.returncode == 0
    assert "mended: 1" in done.stdout
    assert run_tagkin("check", "--library", library).returncode == 0


def test_a_folder_that_is_no_library(tmp_path: Path, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("check", "--library", tmp_path / "none", "--repair")
    assert done.returncode == 2
    assert "there is no Tagkin library" in done.stderr
    assert not (tmp_path / "none").exists()
