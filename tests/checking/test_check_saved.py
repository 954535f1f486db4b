"""``library.json``, proposals, taggers, fine-tunings, the cache, and what killed runs left."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from helpers_checking import check, cut, findings, make_library, mend, state_of

from tagkin.backbones import list_cache
from tagkin.checking import check_library
from tagkin.errors import LibraryError
from tagkin.files import checksum
from tagkin.library import Library
from tagkin.tagger import Tagger, tagger_names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_library(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 4, "what": 1}', None])
def test_a_damaged_state_is_made_again(path: Path, content: str | None) -> None:
    rows = Library.open(path).images()
    file = path / "library.json"
    file.unlink() if content is None else file.write_text(content)
    (found,) = findings(path)
    assert found.part == "library.json"
    mend(path)
    assert state_of(path)["schema_version"] == 4
    assert Library.open(path).images() == rows


def test_a_folder_that_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(LibraryError, match="no Tagkin library"):
        check(tmp_path, repair=True)
    assert [file.name for file in tmp_path.iterdir()] == ["photo.jpg"]


def test_the_library_of_a_newer_version_is_refused(path: Path) -> None:
    content = state_of(path) | {"schema_version": 99}
    (path / "library.json").write_text(json.dumps(content))
    with pytest.raises(LibraryError, match="schema 99"):
        check(path, repair=True)
    assert state_of(path) == content


def test_damaged_proposals_are_put_aside(path: Path) -> None:
    (path / "proposals.json").write_text("{")
    (found,) = mend(path)
    assert found.part == "proposals"
    assert (path / "damaged" / "proposals.json-1").read_text() == "{"


def test_a_damaged_graph_of_a_tagger_comes_from_the_cache(demo_copy: Demo) -> None:
    library = demo_copy.library
    cut(demo_copy.tagger / "backbone.bin")
    found = [f for f in check_library(demo_copy.settings).findings if f.level != "note"]
    assert [one.part for one in found] == ["taggers"]
    report = check_library(demo_copy.settings, repair=True)
    assert report.clean
    assert "from the cache" in str([one.repaired for one in report.findings])
    Tagger.load(demo_copy.tagger)
    assert check_library(demo_copy.settings).clean
    assert tagger_names(library.taggers_path) == ["efficientnet-lite0-001"]


def test_a_tagger_that_cannot_be_mended_is_put_aside(demo_copy: Demo) -> None:
    library = demo_copy.library
    shutil.copytree(demo_copy.tagger, library.taggers_path / "efficientnet-lite0-002")
    cut(library.taggers_path / "efficientnet-lite0-002" / "head.npz")
    assert not check_library(demo_copy.settings).clean
    assert check_library(demo_copy.settings, repair=True).clean
    assert tagger_names(library.taggers_path) == ["efficientnet-lite0-001"]
    assert (demo_copy.path / "damaged" / "efficientnet-lite0-002-1" / "tagger.json").exists()


def test_a_damaged_state_finds_the_backbone_of_the_last_tagger(demo_copy: Demo) -> None:
    (demo_copy.path / "library.json").write_bytes(b"")
    assert check_library(demo_copy.settings, repair=True).clean
    assert demo_copy.library.state.active_backbone == demo_copy.config.to_dict()


@pytest.mark.slow
def test_a_damaged_graph_in_the_cache_is_made_again(demo_copy: Demo, tmp_path: Path) -> None:
    settings = demo_copy.settings.model_copy(update={"cache_dir": tmp_path / "cache"})
    shutil.copytree(demo_copy.settings.cache_dir / "graphs", tmp_path / "cache" / "graphs")
    entry = tmp_path / "cache" / "graphs" / demo_copy.config.graph_key
    cut(entry / "model.bin")
    killed = tmp_path / "cache" / "graphs" / ".export-killed"
    killed.mkdir()
    os.utime(killed, (0, 0))
    found = check_library(settings).findings
    assert sorted(one.level for one in found if one.part == "cache") == ["damage", "leftover"]
    assert check_library(settings, repair=True).clean
    assert check_library(settings).clean
    assert all(one.whole for one in list_cache(settings.cache_dir))
    assert entry.name in [one.key for one in list_cache(settings.cache_dir)]
    assert not killed.exists()


def test_a_damaged_search_index_is_removed(path: Path) -> None:
    folder = path / "indexes" / "f"
    folder.mkdir(parents=True)
    (folder / "index.faiss").write_bytes(b"index")
    sums = {"index.faiss": checksum(folder / "index.faiss")}
    (folder / "index.json").write_text(json.dumps({"checksums": sums}))
    assert check(path).clean
    cut(folder / "index.faiss")
    (found,) = mend(path)
    assert found.part == "indexes"
    assert not folder.exists()


def test_a_damaged_fine_tuning_is_removed(path: Path) -> None:
    folder = path / "fine-tuning"
    (folder / "checkpoints").mkdir(parents=True)
    np.savez(folder / "checkpoints" / "checkpoint.npz", weights=np.ones(1000))
    assert check(path).clean
    cut(folder / "checkpoints" / "checkpoint.npz")
    (folder / "activations-1").mkdir()
    (folder / "activations-1" / "about.json").write_text("{")
    assert len(mend(path)) == 2
    assert list(folder.rglob("*")) == [folder / "checkpoints"]


@pytest.mark.parametrize("days", [-2, 2])
def test_what_a_killed_run_left_is_removed_when_it_is_old(path: Path, days: int) -> None:
    left = [path / ".images.lance-abc", path / "taggers" / ".saving-abc", path / ".library.json-x"]
    for one in left[:2]:
        (one / "sub").mkdir(parents=True)
    left[2].touch()
    assert check(path, repair=True).clean
    assert all(one.exists() for one in left)
    when = time.time() + days * 86400  # a clock may have been wrong
    for one in left:
        for file in (one, *one.rglob("*")):
            os.utime(file, (when, when))
    assert {one.level for one in mend(path)} == {"leftover"}
    assert not any(one.exists() for one in left)
