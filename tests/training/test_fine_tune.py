"""The tail learns, what is frozen stays, and a killed run comes to the same end."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import subprocess_environment
from helpers_tuning import (
    cached,
    kinds,
    pictures,
    small_head,
    tiny_cut,
    tuning_settings,
)

from tagkin.errors import TaggerError
from tagkin.settings import Settings
from tagkin.training.checkpoint import EpochMetrics
from tagkin.training.cut import Cut
from tagkin.training.fine_tune import FineTuned, fine_tune, remove_checkpoints
from tagkin.training.learner import Learner, Vectors, fill_up, moments_of
from tagkin.training.metrics import average_precision
from tagkin.training.recipe import Recipe

TRAIN, VALIDATION = 41, 21


@dataclass
class Tuned:
    cut: Cut
    result: FineTuned
    before: dict[str, list[Any]]
    epochs: list[EpochMetrics]
    folder: Path


def weights(cut: Cut) -> dict[str, list[Any]]:
    return {layer.name: layer.get_weights() for layer in cut.full.layers if layer.weights}


def tune(
    folder: Path, settings: Settings | None = None, cut: Cut | None = None, **how: Any
) -> Tuned:
    cut = cut or tiny_cut()
    train, validation = cached(cut, folder, TRAIN, 2), cached(cut, folder, VALIDATION, seed=1)
    before, epochs = weights(cut), list[EpochMetrics]()
    result = fine_tune(
        cut,
        small_head(),
        train,
        kinds(TRAIN),
        validation,
        kinds(VALIDATION),
        settings or tuning_settings(),
        folder=folder / "checkpoints",
        **{"epoch_done": epochs.append, **how},
    )
    return Tuned(cut, result, before, epochs, folder)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(tmp_path_factory.mktemp("tuned"))


def test_the_tail_learns(tuned: Tuned) -> None:
    history = tuned.result.history
    assert [entry.epoch for entry in history] == [0, 1, 2, 3]
    assert tuned.epochs == list(history)
    assert np.isnan(history[0].loss)
    assert history[3].loss < 0.95 * history[1].loss
    assert history[3].accuracy > history[1].accuracy
    best = max(entry.validation_map for entry in history)
    assert history[tuned.result.best_epoch].validation_map == best
    assert best > history[0].validation_map


def test_the_best_epoch_is_in_the_full_model(tuned: Tuned) -> None:
    pixels = pictures(VALIDATION, seed=1)[:, 0].astype(np.float32)
    vectors = np.asarray(tuned.cut.full(pixels, training=False))
    scores = tuned.result.head.scores(vectors)
    found = float(np.nanmean(average_precision(kinds(VALIDATION), scores)))
    best = tuned.result.history[tuned.result.best_epoch].validation_map
    assert found == pytest.approx(best, abs=0.02)  # the activations are in half precision


def test_only_what_is_trained_changes(tuned: Tuned) -> None:
    after = weights(tuned.cut)
    changed = {
        name
        for name, values in tuned.before.items()
        if any(not np.array_equal(a, b) for a, b in zip(values, after[name], strict=True))
    }
    assert changed == {"b_grouped", "b_bn", "b_project"}
    (gamma, beta, *statistics), (was_gamma, was_beta, *were) = after["b_bn"], tuned.before["b_bn"]
    assert not np.array_equal(gamma, was_gamma)
    assert not np.array_equal(beta, was_beta)
    for one, other in zip(statistics, were, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_run_is_not_trained_again(tuned: Tuned) -> None:
    again = tune(tuned.folder)
    assert not again.epochs
    assert again.result.history[1:] == tuned.result.history[1:]
    np.testing.assert_array_equal(again.result.head.kernel, tuned.result.head.kernel)
    for name, values in weights(tuned.cut).items():
        for one, other in zip(values, weights(again.cut)[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_more_epochs_go_on_from_there(tuned: Tuned, tmp_path: Path) -> None:
    four = tuning_settings(fine_tune_epochs=4)
    more = tune(tuned.folder, four)
    assert [entry.epoch for entry in more.epochs] == [4]
    unbroken = tune(tmp_path, four)
    assert more.result.best_epoch == unbroken.result.best_epoch
    np.testing.assert_allclose(
        more.result.head.kernel, unbroken.result.head.kernel, rtol=1e-3, atol=1e-5
    )


def test_another_run_starts_anew(tuned: Tuned) -> None:
    other = tune(tuned.folder, tuning_settings(seed=4), cut=tiny_cut())
    assert [entry.epoch for entry in other.epochs] == [0, 1, 2, 3]
    assert other.result.history[1].loss != tuned.result.history[1].loss


def test_without_a_better_epoch_the_start_is_kept(tmp_path: Path) -> None:
    # Steps so large that the tail is of no use afterwards.
    done = tune(tmp_path, tuning_settings(fine_tune_learning_rate=30.0, fine_tune_epochs=1))
    assert done.result.best_epoch == 0
    after = weights(done.cut)
    for name, values in done.before.items():
        for one, other in zip(values, after[name], strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(done.result.head.kernel, small_head().kernel, atol=1e-6)
    np.testing.assert_allclose(done.result.head.bias, small_head().bias, atol=1e-5)


def test_the_head_may_have_a_rate_of_its_own(tmp_path: Path) -> None:
    slow = tuning_settings(fine_tune_learning_rate=1e-9, fine_tune_epochs=1)
    still = tune(tmp_path / "still", slow)
    other = replace(Recipe.from_settings(slow), head_learning_rate=1e-2)
    moved = tune(tmp_path / "moved", slow, recipe=other)
    learner = weights(moved.cut)
    for name, values in moved.before.items():
        for one, other in zip(values, learner[name], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    kernels = [run.result.head.kernel - small_head().kernel for run in (still, moved)]
    assert np.abs(kernels[0]).max() < 1e-5
    assert moved.result.best_epoch == 0 or np.abs(kernels[1]).max() > 1e-3
    assert moved.result.history[1].loss != still.result.history[1].loss


def test_a_new_head_learns_from_nothing_and_is_measured_against_the_given_one(
    tmp_path: Path,
) -> None:
    settings = tuning_settings(fine_tune_recipe="one-cycle", fine_tune_learning_rate=3e-3)
    done = tune(tmp_path / "new", settings)
    kept = tune(tmp_path / "kept", tuning_settings(fine_tune_epochs=1))
    assert done.result.history[0].validation_map == kept.result.history[0].validation_map
    assert done.result.best_epoch > 0
    # The given head's noise is gone from the one that was learned.
    given = small_head().kernel.ravel()
    assert abs(np.corrcoef(done.result.head.kernel.ravel(), given)[0, 1]) < 0.5


def test_a_new_head_need_not_beat_the_given_one(tmp_path: Path) -> None:
    hardly = tuning_settings(
        fine_tune_recipe="one-cycle", fine_tune_epochs=1, fine_tune_learning_rate=1e-9
    )
    done = tune(tmp_path, hardly)
    assert np.abs(done.result.head.kernel).max() < 1e-6 < np.abs(small_head().kernel).max()
    assert done.result.best_epoch == 1


def test_dropout_before_the_head_fires_while_that_in_the_tail_does_not(tmp_path: Path) -> None:
    cut = tiny_cut()
    rows = cached(cut, tmp_path, 16).read(np.arange(16))
    vectors = Vectors(cut, 16)
    moments = moments_of(vectors(rows))

    def losses(dropout: float) -> list[float]:
        settings = tuning_settings(dropout=dropout, fine_tune_learning_rate=1e-12)
        learner = Learner(vectors, small_head(), moments, settings, Recipe.from_settings(settings))
        found = []
        for epoch in (1, 1, 2):
            learner.start_epoch(0, epoch)
            found.append(learner.step(rows, kinds(16).toarray())[0])
        return found

    first, again, other = losses(0.0)
    assert first == pytest.approx(again, rel=1e-5) == pytest.approx(other, rel=1e-5)
    first, again, other = losses(0.5)
    assert first == pytest.approx(again, rel=1e-5)
    assert other != pytest.approx(first, rel=1e-3)


def test_nothing_is_learned_from_padding(tmp_path: Path) -> None:
    cut = tiny_cut()
    rows, labels = cached(cut, tmp_path, 16).read(np.arange(16)), kinds(16).toarray()
    moments = moments_of(Vectors(cut, 16)(rows))
    settings = tuning_settings(dropout=0.0, fine_tune_learning_rate=1e-12)
    sums = []
    for size in (5, 16):
        recipe = Recipe.from_settings(settings)
        learner = Learner(Vectors(cut, size), small_head(), moments, settings, recipe)
        sums.append(learner.step(rows[:5], labels[:5]))
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-4)
    assert 0 <= sums[0][1] <= 5


def test_training_starts_from_the_head(tmp_path: Path) -> None:
    cut = tiny_cut()
    rows = cached(cut, tmp_path, 8).read(np.arange(8))
    vectors = Vectors(cut, 8)
    found = vectors(rows)
    settings = tuning_settings()
    recipe = Recipe.from_settings(settings)
    learner = Learner(vectors, small_head(), moments_of(found), settings, recipe)
    scores = learner.model.predict_on_batch(rows)
    np.testing.assert_allclose(scores, small_head().scores(found), atol=1e-5)
    np.testing.assert_allclose(learner.head().kernel, small_head().kernel, atol=1e-6)


def test_one_view_of_several_is_drawn_for_each_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tiny_cut()
    train, validation = cached(cut, tmp_path, TRAIN, 3), cached(cut, tmp_path, VALIDATION, seed=1)
    read, drawn = type(train).read, list[Any]()

    def spy(self: Any, images: Any, views: Any = 0) -> Any:
        if not isinstance(views, int):
            drawn.append((images, views))
        return read(self, images, views)

    monkeypatch.setattr(type(train), "read", spy)
    settings = tuning_settings(fine_tune_epochs=2)
    labels = kinds(TRAIN), validation, kinds(VALIDATION)
    fine_tune(cut, small_head(), train, *labels, settings, folder=tmp_path / "c")
    images, views = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    assert len(images) == 2 * TRAIN
    for epoch in (slice(TRAIN), slice(TRAIN, None)):
        assert sorted(images[epoch]) == list(range(TRAIN))
        assert set(views[epoch]) == {0, 1, 2}
    assert not np.array_equal(images[:TRAIN], images[TRAIN:])


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    tune(
        tmp_path,
        tuning_settings(fine_tune_epochs=2),
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert told[-1] == ("fine-tuning", 2 * TRAIN, 2 * TRAIN)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_fewer_images_than_a_batch(tmp_path: Path) -> None:
    done = tune(tmp_path, tuning_settings(fine_tune_batch_size=512, fine_tune_epochs=1))
    assert np.isfinite(done.result.history[1].loss)


def test_what_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    cut = tiny_cut()
    train, none = cached(cut, tmp_path, 5), cached(cut, tmp_path, 0, seed=2)
    settings, head = tuning_settings(), small_head()
    with pytest.raises(TaggerError, match="no validation images"):
        fine_tune(cut, head, train, kinds(5), none, kinds(0), settings, folder=tmp_path)
    with pytest.raises(ValueError, match="4 rows of labels for 5 training images"):
        fine_tune(cut, head, train, kinds(4), train, kinds(5), settings, folder=tmp_path)


def test_divergence_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaggerError, match="smaller --fine-tune-learning-rate"):
        tune(tmp_path, tuning_settings(fine_tune_learning_rate=1e38))


def test_checkpoints_are_removed(tmp_path: Path) -> None:
    tune(tmp_path, tuning_settings(fine_tune_epochs=1))
    assert list((tmp_path / "checkpoints").iterdir())
    remove_checkpoints(tmp_path / "checkpoints")
    assert not list((tmp_path / "checkpoints").iterdir())


def test_rows_are_filled_up() -> None:
    np.testing.assert_array_equal(fill_up(np.array([1, 2, 3]), 5), [1, 2, 3, 1, 2])
    np.testing.assert_array_equal(fill_up(np.array([1, 2, 3]), 3), [1, 2, 3])


def test_a_dead_column_has_a_deviation() -> None:
    mean, deviation = moments_of(np.array([[1, 5, 0], [3, 5, 4]], np.float32))
    np.testing.assert_array_equal(mean, [2, 5, 2])
    assert deviation.min() > 0
    assert moments_of(np.ones((2, 3), np.float32))[1].tolist() == [1, 1, 1]


KILLED = """
import json, os, signal, sys
from pathlib import Path
sys.path[:0] = {helpers!r}
from test_fine_tune import tune
killed = {killed}
def step(stage, done, total):
    if killed and done > 1.5 * total / 3:
        os.kill(os.getpid(), signal.SIGKILL)  # half way through the second epoch
done = tune(Path({folder!r}), progress=step)
print(json.dumps([
    done.result.head.kernel.tolist(),
    [entry.validation_map for entry in done.result.history],
    [entry.epoch for entry in done.epochs],
    done.result.best_epoch,
]))
"""


@pytest.mark.fault
def test_a_killed_run_comes_to_the_same_end(tuned: Tuned, tmp_path: Path) -> None:
    def run(killed: bool) -> "subprocess.CompletedProcess[str]":
        code = KILLED.format(
            helpers=[str(parent) for parent in Path(__file__).parents[:2]],
            killed=killed,
            folder=str(tmp_path),
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            env=subprocess_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    assert run(killed=True).returncode == -signal.SIGKILL
    assert (tmp_path / "checkpoints" / "checkpoint.npz").exists()
    resumed = run(killed=False)
    assert resumed.returncode == 0, resumed.stderr
    kernel, maps, epochs, best = json.loads(resumed.stdout.splitlines()[-1])
    assert epochs == [2, 3]  # not those before it was killed
    assert best == tuned.result.best_epoch
    np.testing.assert_allclose(kernel, tuned.result.head.kernel, rtol=1e-3, atol=1e-4)
    wanted = [entry.validation_map for entry in tuned.result.history]
    np.testing.assert_allclose(maps, wanted, atol=1e-3)
