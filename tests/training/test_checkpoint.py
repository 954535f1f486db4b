"""A checkpoint comes back as it was, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from tagkin.errors import TaggerError
from tagkin.training.checkpoint import Checkpoints, EpochMetrics, State


def state(epochs: int, best: int) -> State:
    rng = np.random.default_rng(epochs)
    weights = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(12)]
    optimizer = [np.array(epochs), np.array(1e-5, np.float32), *weights]
    history = [EpochMetrics(n, 0.5, 0.9, 0.1 * n, 1.0) for n in range(epochs + 1)]
    return State(weights, optimizer, [np.ones(3), np.zeros(3)], history, best)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "new", "key")
    assert checkpoints.load() is None
    saved = state(2, 2)
    checkpoints.save(saved)
    found = Checkpoints(tmp_path / "new", "key").load()
    assert found is not None
    assert (found.history, found.best_epoch, found.epoch) == (saved.history, 2, 2)
    for name in ("weights", "optimizer", "moments"):
        for one, other in zip(getattr(found, name), getattr(saved, name), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key")
    best = state(1, 1)
    checkpoints.save(best)
    checkpoints.save(state(2, 1))
    kept = checkpoints.best_weights(1)
    assert kept is not None
    np.testing.assert_array_equal(kept, best.weights)
    checkpoints.save(state(3, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-3.npz", "checkpoint.npz"]


def test_that_of_another_run_is_not_taken(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "key").save(state(1, 1))
    assert Checkpoints(tmp_path, "other").load() is None
    assert Checkpoints(tmp_path, "other").best_weights(1) is None


@pytest.mark.parametrize("name", ["checkpoint.npz", "best-1.npz"])
@pytest.mark.parametrize("damage", ["gone", "cut", "text"])
def test_a_damaged_one_is_not_taken(tmp_path: Path, name: str, damage: str) -> None:
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(state(1, 1))
    path = tmp_path / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"text")
    assert checkpoints.load() is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TaggerError, match="can't write the checkpoint"):
        Checkpoints(tmp_path / "file", "key").save(state(0, 0))


def test_is_deleted(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key")
    checkpoints.save(state(1, 1))
    checkpoints.delete()
    assert not list(tmp_path.iterdir())
