"""Exported graphs: made once, mended when damaged, shared by processes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import subprocess_environment

from tagkin.backbones import BackboneConfig, cached_graph, export, open_backbone
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
    other = replace(lite0_config, fit="squeeze", precision="bf16")
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
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=subprocess_environment(),
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
