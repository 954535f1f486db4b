"""Exported graphs: made once, mended when damaged, shared by processes."""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python

from tagkin.backbones import (
    BackboneConfig,
    cached_graph,
    clear_cache,
    export,
    list_cache,
    open_backbone,
)
from tagkin.errors import BackboneError


class Exports:
    """Counts exports, and makes a small stand-in for a graph instead of a real one."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self.together: threading.Barrier | None = None

    def __call__(self, config: BackboneConfig, folder: Path) -> None:
        if self.together:
            self.together.wait(10)
        with self._lock:
            self.count += 1
        if self.error:
            raise self.error
        (folder / "model.xml").write_text("<net/>")
        (folder / "model.bin").write_bytes(b"weights")


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exports]:
    made = Exports()
    monkeypatch.setattr(export, "export_graph", made)
    yield made


def test_exports_once_whatever_the_fit_and_precision(
    exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    first = cached_graph(lite0_config, tmp_path / "new" / "cache")
    other = replace(lite0_config, views=("squeeze",), precision="bf16")
    assert cached_graph(other, tmp_path / "new" / "cache") == first
    assert exports.count == 1
    assert {p.name for p in first.parent.iterdir()} == {
        "model.xml",
        "model.bin",
        "checksums.json",
    }
    assert [p.name for p in first.parent.parent.iterdir()] == [lite0_config.graph_key]


@pytest.mark.parametrize("damage", ["bit", "truncated", "missing", "checksums", "half-written"])
def test_a_damaged_entry_is_made_again(
    damage: str, exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    graph = cached_graph(lite0_config, tmp_path)
    weights = graph.with_suffix(".bin")
    if damage == "bit":
        weights.write_bytes(b"weightt")
    elif damage == "truncated":
        weights.write_bytes(b"")
    elif damage == "missing":
        weights.unlink()
    elif damage == "checksums":
        (graph.parent / "checksums.json").write_text(json.dumps(["model.xml"]))
    else:
        (graph.parent / "checksums.json").unlink()
    assert cached_graph(lite0_config, tmp_path) == graph
    assert weights.read_bytes() == b"weights"
    assert exports.count == 2


def test_several_at_once_all_get_the_same_graph(
    exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    exports.together = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        graphs = list(pool.map(lambda _: cached_graph(lite0_config, tmp_path), range(3)))
    assert len(set(graphs)) == 1
    assert graphs[0].with_suffix(".bin").read_bytes() == b"weights"
    assert [p.name for p in (tmp_path / "graphs").iterdir()] == [lite0_config.graph_key]


def test_a_cache_that_cannot_be_written_says_what_to_do(
    lite0_config: BackboneConfig, exports: Exports, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackboneError, match="TAGKIN_CACHE_DIR"):
        cached_graph(lite0_config, tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("iostream error")]
)
def test_a_full_disk_leaves_no_half_entry(
    error: Exception, exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    exports.error = error
    with pytest.raises(BackboneError, match="Free some space"):
        cached_graph(lite0_config, tmp_path)
    assert list((tmp_path / "graphs").iterdir()) == []
    exports.error = None
    assert cached_graph(lite0_config, tmp_path).is_file()


def test_a_damaged_real_graph_gives_the_same_vectors_again(
    lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    small = replace(lite0_config, image_size=32)
    image = np.full((1, 32, 32, 3), 200, np.uint8)
    before = open_backbone(small, tmp_path).embed(image)
    weights = cached_graph(small, tmp_path).with_suffix(".bin")
    content = bytearray(weights.read_bytes())
    content[1000:2000] = bytes(1000)
    weights.unlink()  # not in place: the loaded graph maps the file
    weights.write_bytes(content)
    np.testing.assert_array_equal(open_backbone(small, tmp_path).embed(image), before)


@pytest.mark.usefixtures("lite0")
def test_a_cached_backbone_is_loaded_without_keras() -> None:
    code = (
        "import sys\n"
        "from tagkin.backbones import open_backbone, resolve_backbone\n"
        "from tagkin.settings import load_settings\n"
        "s = load_settings({'model_architecture': 'efficientnet-lite0', 'precision': 'f32'})\n"
        "open_backbone(resolve_backbone(s), s.cache_dir)\n"
        "print([n for n in ('tensorflow', 'keras', 'torch', 'jax') if n in sys.modules])\n"
    )
    done = run_python(code)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


# What is in it


@pytest.fixture
def two(exports: Exports, lite0_config: BackboneConfig, tmp_path: Path) -> list[Path]:
    """Two entries, by name."""
    configs = (lite0_config, replace(lite0_config, image_size=64))
    return sorted(cached_graph(config, tmp_path).parent for config in configs)


def unfinished(cache_dir: Path, seconds: float) -> Path:
    """What an export that last wrote so long ago has written until now."""
    folder = cache_dir / "graphs" / ".export-abc"
    (folder / "key").mkdir(parents=True)
    (folder / "key" / "keras.bin").write_bytes(bytes(3000))
    then = time.time() - seconds
    for path in (folder / "key" / "keras.bin", folder / "key", folder):
        os.utime(path, (then, then))
    return folder


def test_no_cache_has_no_entries(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert list_cache(folder) == []
        assert clear_cache(folder) == []
    assert list(tmp_path.iterdir()) == []


def test_entries_are_listed_by_name(two: list[Path], tmp_path: Path) -> None:
    entries = list_cache(tmp_path)
    assert [entry.path for entry in entries] == two
    assert [entry.key for entry in entries] == [path.name for path in two]
    for entry in entries:
        assert entry.whole
        assert entry.bytes == sum(file.stat().st_size for file in entry.path.iterdir())
        made = datetime.fromisoformat(entry.made)
        assert timedelta(0) <= datetime.now(UTC) - made < timedelta(minutes=5)
        assert json.loads(json.dumps(entry.to_dict()))["path"] == str(entry.path)


def test_a_damaged_entry_is_shown_as_such(two: list[Path], tmp_path: Path) -> None:
    (two[0] / "model.bin").write_bytes(b"damaged")
    assert [entry.whole for entry in list_cache(tmp_path)] == [False, True]


def test_all_entries_are_cleared_and_made_again(
    two: list[Path], exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    (two[0] / "model.bin").write_bytes(b"damaged")
    assert [entry.path for entry in clear_cache(tmp_path)] == two
    assert list_cache(tmp_path) == []
    assert list((tmp_path / "graphs").iterdir()) == []
    assert cached_graph(lite0_config, tmp_path).is_file()
    assert exports.count == 3


def test_entries_are_cleared_by_name(two: list[Path], tmp_path: Path) -> None:
    cleared = clear_cache(tmp_path, [two[1].name, two[1].name])
    assert [entry.path for entry in cleared] == two[1:]
    assert [entry.path for entry in list_cache(tmp_path)] == two[:1]
    assert clear_cache(tmp_path, []) == []
    assert [entry.path for entry in list_cache(tmp_path)] == two[:1]


@pytest.mark.parametrize("name", ["absent", "..", "", "."])
def test_an_unknown_name_clears_nothing(name: str, two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="tagkin cache"):
        clear_cache(tmp_path, [two[0].name, name])
    assert [entry.path for entry in list_cache(tmp_path)] == two


def test_an_export_that_is_at_work_is_left_alone(two: list[Path], tmp_path: Path) -> None:
    working = unfinished(tmp_path, seconds=30)
    assert [entry.path for entry in list_cache(tmp_path)] == two
    clear_cache(tmp_path)
    assert (working / "key" / "keras.bin").is_file()
    with pytest.raises(BackboneError, match="no entry"):
        clear_cache(tmp_path, [working.name])


def test_a_long_export_that_still_writes_is_left_alone(tmp_path: Path) -> None:
    working = unfinished(tmp_path, seconds=5 * 3600)
    os.utime(working / "key" / "keras.bin")
    assert list_cache(tmp_path) == []


def test_what_a_killed_export_left_is_listed_and_cleared(tmp_path: Path) -> None:
    left = unfinished(tmp_path, seconds=3600)
    (entry,) = list_cache(tmp_path)
    assert (entry.path, entry.whole, entry.bytes) == (left, False, 3000)
    assert clear_cache(tmp_path) == [entry]
    assert not left.exists()


def test_what_else_lies_in_the_cache_is_no_entry(two: list[Path], tmp_path: Path) -> None:
    (tmp_path / "graphs" / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    assert [entry.path for entry in clear_cache(tmp_path)] == two
    assert (tmp_path / "graphs" / "notes.txt").is_file()
    assert (tmp_path / "other").is_dir()


def test_an_entry_that_another_process_clears_meanwhile_hides_no_other(
    two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagkin.backbones import cache

    describe = cache._describe

    def clear_first(folder: Path) -> cache.CacheEntry:
        if folder == two[0]:
            raise FileNotFoundError(folder)
        return describe(folder)

    monkeypatch.setattr(cache, "_describe", clear_first)
    assert [entry.path for entry in list_cache(tmp_path)] == two[1:]


# int8


def test_an_int8_graph_that_is_gone_says_how_to_make_it_again(
    exports: Exports, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    int8 = replace(lite0_config, precision="int8", calibration="0123456789ab")
    with pytest.raises(BackboneError, match="tagkin embed --precision int8"):
        cached_graph(int8, tmp_path)
    with pytest.raises(BackboneError, match="no longer in the cache"):
        open_backbone(int8, tmp_path)
    assert exports.count == 0  # the f32 graph would be found under its name
    assert list_cache(tmp_path) == []
