"""A head that has been judged: calibrated, with thresholds, and scores whatever the rank."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import Demo

from tagkin.head import Head
from tagkin.settings import Settings
from tagkin.training.fit import fit_head
from tagkin.training.judged import judge
from tagkin.training.learning_set import LearningSet
from tagkin.training.score_blocks import sigmoid

#: Scores that depend on the order of an image's tags.
OF_LISTS = ("image_map", "precision_at", "recall_at", "words")


@pytest.fixture(scope="module")
def settings(demo_library: Demo) -> Settings:
    """Without neighbours: the head alone."""
    return demo_library.settings.model_copy(update={"neighbours": 0})


@pytest.fixture(scope="module")
def data(demo_library: Demo) -> LearningSet:
    return LearningSet.read(
        demo_library.library, demo_library.config.fingerprint, demo_library.settings
    )


@pytest.fixture(scope="module")
def head(demo_library: Demo, data: LearningSet) -> Head:
    """A head of few epochs, made twice too sure of itself."""
    few = demo_library.settings.model_copy(update={"max_epochs": 5})
    parts = [f(s) for s in ("train", "validation") for f in (data.vectors_of, data.labels_of)]
    fitted = fit_head(*parts, few).head
    return Head(fitted.kernel * 2, fitted.bias * 2)


def test_the_mean_probability_is_the_share_of_tags_that_are_there(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    judged = judge(head, data, settings)
    labels = data.labels_of("validation")
    vectors = np.asarray(data.vectors_of("validation"))
    share = labels.nnz / np.prod(labels.shape)
    assert judged.calibration.fitted
    assert judged.head.scores(vectors).mean() == pytest.approx(share, rel=0.02)
    assert head.scores(vectors).mean() != pytest.approx(share, rel=0.02)


def test_calibration_makes_probabilities_more_reliable(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    judged = judge(head, data, settings)
    after = judge(judged.head, data, settings).reliability_before
    assert after.ece_likely < judged.reliability_before.ece_likely


def test_the_head_has_taken_the_calibration_in(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    judged = judge(head, data, settings)
    slope, intercept = judged.calibration.coefficients[0], judged.calibration.intercept
    assert 0 < slope < 1  # it was too sure of itself
    vectors = np.asarray(data.vectors_of("validation"))
    logits = vectors.astype(np.float32) @ head.kernel + head.bias
    expected = sigmoid((logits * slope + intercept).astype(np.float32))
    np.testing.assert_allclose(judged.head.scores(vectors), expected, atol=1e-4)


def test_a_calibrated_head_needs_no_second_calibration(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    again = judge(judge(head, data, settings).head, data, settings).calibration
    assert again.coefficients[0] == pytest.approx(1, abs=0.01)
    assert again.intercept == pytest.approx(0, abs=0.02)


def test_rank_changes_the_scores_of_lists_only(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    by_probability = settings.model_copy(update={"rank": "probability"})
    margin, probability = (judge(head, data, s) for s in (settings, by_probability))
    np.testing.assert_array_equal(margin.thresholds, probability.thresholds)
    for split in ("validation", "test"):
        found = [judged.scores()[split].to_dict() for judged in (margin, probability)]
        differ = {name for name in found[0] if found[0][name] != found[1][name]}
        assert differ
        assert all(name.startswith(OF_LISTS) for name in differ), differ


def test_without_test_images_there_are_no_test_scores(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    none = np.array([], int)
    judged = judge(head, replace(data, parts={**data.parts, "test": none}), settings)
    assert judged.test is None
    assert set(judged.scores()) == {"validation"}


def test_neighbours_are_kept_only_where_they_help(
    head: Head, data: LearningSet, settings: Settings
) -> None:
    with_them = judge(head, data, Settings())
    without = judge(head, data, settings)
    assert without.neighbours is None
    assert with_them.neighbours is not None
    assert with_them.scores()["validation"].map > without.scores()["validation"].map
    assert len(with_them.neighbours.units) == len(data.parts["train"])

    # With the training images' vectors dealt out anew they say nothing, and must not harm.
    vectors, train = data.vectors.copy(), data.parts["train"]
    vectors[train] = vectors[np.random.default_rng(0).permutation(train)]
    misled = replace(data, vectors=vectors)
    maps = [judge(head, misled, s).scores()["validation"].map for s in (Settings(), settings)]
    assert maps[0] >= maps[1]


def test_a_limit_on_neighbours_is_kept(head: Head, data: LearningSet) -> None:
    found = judge(head, data, Settings(neighbours=150)).neighbours
    assert found is None or len(found.units) == 150
