"""Batches from the disk: each image once in an epoch, with its own vector, in a new order."""

from pathlib import Path

import numpy as np
import pytest

from tagkin.chosen_rows import ChosenRows, StoredRows, blocks
from tagkin.library import Library
from tagkin.training import batches
from tagkin.training.batches import ShuffledRows

IMAGES = 500


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRows:
    monkeypatch.setattr(batches, "_RUN", 16)
    monkeypatch.setattr(batches, "_RUNS", 4)
    library = Library.create_or_open(tmp_path / "library")
    ids = [f"{number:032x}" for number in range(IMAGES)]
    values = np.arange(IMAGES * 3, dtype=np.float32).reshape(IMAGES, 3)
    for start in (250, 0):  # in two writes, as embedding does it
        library.add_vectors("f", ids[start : start + 250], values[start : start + 250])
    vectors = library.stored_vectors("f")
    wanted = [number for number in range(IMAGES) if number % 5]
    return StoredRows(vectors, vectors.find(np.array(ids, "S32")[wanted]))


def test_rows_are_read_as_from_memory(stored: StoredRows) -> None:
    held = stored.read()
    assert held[:, 0].tolist() == [3 * number for number in range(IMAGES) if number % 5]
    assert stored.shape == held.shape
    assert stored.nbytes == held.nbytes
    np.testing.assert_array_equal(stored[10:20], held[10:20])
    some = np.array([7, 300, 2])
    np.testing.assert_array_equal(stored[some], held[some])
    np.testing.assert_array_equal(stored.some(some).read(), held[some])
    together = np.concatenate([block for _, block in blocks(stored)])
    assert sorted(together[:, 0].tolist()) == sorted(held[:, 0].tolist())


@pytest.mark.parametrize("size", [7, 64, 100])
def test_every_row_comes_once_in_an_epoch_with_its_vector(stored: StoredRows, size: int) -> None:
    held = stored.read()
    shuffled = ShuffledRows(stored, seed=3)
    orders = []
    for _ in range(2):
        rows = []
        for start in range(0, len(held), size):
            some, vectors = shuffled.batch(start, start + size)
            np.testing.assert_array_equal(vectors, held[some])
            rows += some.tolist()
        assert sorted(rows) == list(range(len(held)))
        orders.append(rows)
        shuffled.shuffle()
    assert orders[0] != orders[1]


def test_neighbours_on_the_disk_come_far_apart(stored: StoredRows) -> None:
    order = ShuffledRows(stored, seed=0).order
    assert np.median(np.abs(np.diff(order))) > 20


def test_the_order_in_memory_is_that_of_the_seed() -> None:
    vectors = ChosenRows(np.eye(50, dtype=np.float32), np.arange(50))
    first, second = (ShuffledRows(vectors, seed=1) for _ in range(2))
    rows, _ = first.batch(0, 50)
    assert rows.tolist() == second.batch(0, 50)[0].tolist()
    assert rows.tolist() != list(range(50))
