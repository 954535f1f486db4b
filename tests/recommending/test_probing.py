"""Backbones on a sample of the owner's own images."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Demo

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.recommending.probing import neighbour_precision, probe, weights_at_hand


def test_the_offline_backbone_is_probed_and_the_library_stays(demo_library: Demo) -> None:
    before = sorted(path.name for path in demo_library.path.iterdir())
    told: list[str] = []
    found = probe(demo_library.library, demo_library.settings, 200, note=told.append)
    (value,) = (found[key] for key in found if key[0] == "efficientnet-lite0")
    assert 0.1 < value.map <= 1
    assert 0.05 < value.neighbour_precision <= 1
    assert value.images == 200
    assert any("vit-large is left out" in line for line in told)
    assert sorted(path.name for path in demo_library.path.iterdir()) == before


def test_neighbours_of_like_images_have_their_tags() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(2, 8, dtype=np.float32)
    kinds = np.arange(40) % 2
    vectors = directions[kinds] + rng.normal(0, 0.01, (40, 8)).astype(np.float32)
    labels = np.eye(2, dtype=bool)[kinds]
    assert neighbour_precision(vectors, labels) == 1.0
    mixed = neighbour_precision(
        rng.normal(0, 1, (400, 8)), np.eye(2, dtype=bool)[np.arange(400) % 2]
    )
    assert 0.4 < mixed < 0.6
    assert np.isnan(neighbour_precision(vectors, np.zeros((40, 3), bool)))


def test_a_library_with_few_tagged_images_is_told_so(tmp_path: Path, demo_library: Demo) -> None:
    empty = Library.create_or_open(tmp_path / "library")
    with pytest.raises(LibraryError, match="needs 60"):
        probe(empty, demo_library.settings, 100)


def test_only_weights_that_need_no_download_count(
    demo_library: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = demo_library.library
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert weights_at_hand("efficientnet-lite0", library) == "imagenet"
    assert weights_at_hand("efficientnetv2-s", library) is None
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnetv2-s_notop.h5").touch()
    assert weights_at_hand("efficientnetv2-s", library) == "imagenet"
    assert weights_at_hand("vit-large", library) is None
