"""Logs for TensorBoard: written where a folder is named, and read by TensorBoard itself."""

from pathlib import Path

import pytest
from conftest import run_python

from tagkin.errors import TaggerError
from tagkin.training.checkpoint import EpochMetrics
from tagkin.training.tensorboard import EpochLog

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import (
    TENSORS,
    EventAccumulator,
)
from tensorboard.util.tensor_util import make_ndarray

START = EpochMetrics(0, float("nan"), float("nan"), 0.25, 1.0)
FIRST = EpochMetrics(1, 0.5, 0.75, 0.375, 2.0)
SECOND = EpochMetrics(2, 0.25, 0.875, 0.5, 3.0)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder), size_guidance={TENSORS: 0})
    read.Reload()
    return {
        name: [
            (event.step, float(make_ndarray(event.tensor_proto))) for event in read.Tensors(name)
        ]
        for name in read.Tags()["tensors"]
    }


def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    log = EpochLog(tmp_path / "logs", "phase-2")
    for metrics in (START, FIRST, SECOND):
        log(metrics)
    assert scalars(tmp_path / "logs" / "phase-2") == {
        "loss": [(1, 0.5), (2, 0.25)],  # what is not a number is left out
        "accuracy": [(1, 0.75), (2, 0.875)],
        "validation_map": [(0, 0.25), (1, 0.375), (2, 0.5)],
        "seconds": [(0, 1.0), (1, 2.0), (2, 3.0)],
    }


def test_each_epoch_can_be_seen_at_once(tmp_path: Path) -> None:
    log = EpochLog(tmp_path, "phase-1")
    log(FIRST)
    assert scalars(tmp_path / "phase-1")["loss"] == [(1, 0.5)]


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagkin.training.tensorboard.find_spec", lambda _: None)
    EpochLog(None, "phase-1")(FIRST)
    assert not list(tmp_path.iterdir())


def test_without_a_folder_tensorflow_is_not_imported() -> None:
    done = run_python(
        "import sys\n"
        "from tagkin.training.checkpoint import EpochMetrics\n"
        "from tagkin.training.tensorboard import EpochLog\n"
        "EpochLog(None, 'phase-1')(EpochMetrics(1, 0.5, 0.5, 0.5, 1.0))\n"
        "print({'tensorflow', 'tensorboard', 'keras'} & set(sys.modules))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"


def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagkin.training.tensorboard.find_spec", lambda _: None)
    with pytest.raises(TaggerError, match=r"pip install tagkin\[tensorboard\]"):
        EpochLog(tmp_path / "logs", "phase-1")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TaggerError, match="name another folder"):
        EpochLog(tmp_path / "file", "phase-1")
