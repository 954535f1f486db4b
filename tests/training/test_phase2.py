"""``train`` with fine-tuning: which phase is kept, what is left behind, and a kill half way."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo, RunTagkin, subprocess_environment

from tagkin.backbones import cached_graph
from tagkin.tagger import Tagger
from tagkin.training.train import TrainReport, train


def fine_tuned(demo: Demo, notes: list[str], **changes: Any) -> TrainReport:
    settings = demo.settings.model_copy(
        update={
            "max_epochs": 15,
            "fine_tune_epochs": 2,
            "trainable_layers": 12,
            "neighbours": 0,
            **changes,
        }
    )
    graph = cached_graph(demo.config, settings.cache_dir)
    return train(demo.library, demo.config, graph, settings, fine_tune=True, note=notes.append)


def check_left_behind(demo: Demo, report: TrainReport) -> Tagger:
    """What is true whichever phase is kept; returns the tagger."""
    library = demo.library
    tagger = Tagger.load(library.taggers_path / report.tagger)
    assert library.state.active_backbone == tagger.config.to_dict()
    assert tagger.config.fingerprint == report.fingerprint
    assert not library.fine_tuning_path.exists()
    assert [phase.phase for phase in report.phases] == [1, 2]
    maps = [phase.scores["validation"].map for phase in report.phases]
    assert report.validation.map == max(maps)
    assert report.phase == (2 if maps[1] > maps[0] else 1)
    assert tagger.scores["validation"] == report.validation.to_dict()
    return tagger


@pytest.mark.slow
def test_the_better_phase_is_kept(demo_copy: Demo, demo_images: list[Path]) -> None:
    notes: list[str] = []
    report = fine_tuned(demo_copy, notes, fine_tune_learning_rate=1e-4, fine_tune_views=2)
    tagger = check_left_behind(demo_copy, report)
    first, second = report.phases
    assert [entry.epoch for entry in second.history] == [0, 1, 2]
    assert math.isnan(second.history[0].loss)
    assert second.history[2].loss < second.history[1].loss
    # The start of phase 2 is the end of phase 1, seen through activations in half precision.
    start = second.history[0].validation_map
    assert start == pytest.approx(first.scores["validation"].map, abs=0.01)
    best = second.history[second.best_epoch].validation_map
    assert second.scores["validation"].map == pytest.approx(best, abs=0.02)
    room, verdict = notes[0], notes[-1]
    assert "GB in" in room
    assert "validation mAP" in verdict
    assert ("phase 2 is kept" in verdict) == (report.phase == 2)

    if report.phase == 2:
        weights = Path(tagger.config.weights)
        assert weights.parent == demo_copy.library.backbones_path
        assert weights.is_file()
        assert tagger.config.fingerprint != demo_copy.config.fingerprint
    page = json.loads((report.page.parent / "report.json").read_text("utf-8"))
    assert {entry["phase"] for entry in page["history"]} == {1, 2}
    assert "phase 2" in report.page.read_text("utf-8")

    (prediction,) = tagger.predict([demo_images[0]], demo_copy.settings, top=3)
    assert prediction.error is None
    assert len(prediction.tags) == 3


@pytest.mark.slow
def test_phase_1_is_kept_if_nothing_becomes_better(demo_copy: Demo) -> None:
    before = demo_copy.library.state.active_backbone
    notes: list[str] = []
    report = fine_tuned(demo_copy, notes, fine_tune_learning_rate=1e-12)
    tagger = check_left_behind(demo_copy, report)
    assert report.phase == 1
    assert report.phases[1].best_epoch == 0
    assert report.fingerprint == demo_copy.config.fingerprint
    assert tagger.config == demo_copy.config
    assert demo_copy.library.state.active_backbone == before
    assert "phase 1 is kept" in notes[-1]
    # Weights that are those of the backbone are not stored once more.
    folder = demo_copy.library.backbones_path
    assert not folder.exists() or not list(folder.iterdir())


COMMAND = (
    *("train", "--fine-tune", "--fine-tune-epochs", "2", "--fine-tune-learning-rate", "1e-4"),
    *("--trainable-layers", "12", "--json"),
)
QUICK = {"TAGKIN_MAX_EPOCHS": "5"}


def logged_epochs(folder: Path) -> list[list[int]]:
    """The epochs of phase 2 in each log file, the oldest first."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    epochs = []
    for file in sorted((folder / "phase-2").iterdir()):
        log = EventAccumulator(str(file))
        log.Reload()
        known = "validation_map" in log.Tags()["tensors"]
        epochs.append([event.step for event in log.Tensors("validation_map")] if known else [])
    return epochs


@pytest.mark.fault
def test_a_killed_fine_tuning_comes_to_the_same_end(
    demo_copy: Demo, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    copy = tmp_path / "copy"
    shutil.copytree(demo_copy.path, copy)
    unbroken = run_tagkin(*COMMAND, "--library", copy, env=QUICK, timeout=300)
    assert unbroken.returncode == 0, unbroken.stderr

    logs = tmp_path / "logs"
    command = [*COMMAND, "--library", str(demo_copy.path), "--tensorboard", str(logs)]
    stored = demo_copy.library.fine_tuning_path / "checkpoints" / "checkpoint.npz"
    running = subprocess.Popen(
        [sys.executable, "-m", "tagkin", *command],
        env=subprocess_environment(QUICK),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 200
        while not stored.exists() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        running.kill()
    assert running.wait() == -signal.SIGKILL
    assert stored.exists()
    assert not list(demo_copy.library.taggers_path.glob("*-002"))

    resumed = run_tagkin(*command, env=QUICK, timeout=300)
    assert resumed.returncode == 0, resumed.stderr
    found, wanted = (json.loads(done.stdout) for done in (resumed, unbroken))
    assert found["tagger"] == wanted["tagger"] == "efficientnet-lite0-002"
    assert found["phase"] == wanted["phase"]
    assert found["validation"]["map"] == pytest.approx(wanted["validation"]["map"], abs=2e-3)
    assert not demo_copy.library.fine_tuning_path.exists()
    last = logged_epochs(logs)[-1]
    assert 0 not in last  # what was done before it was killed is not done again
    assert last[-1:] == [2]
