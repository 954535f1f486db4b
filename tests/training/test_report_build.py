"""What the report shows is what was measured."""

import json
from pathlib import Path

import numpy as np
from helpers_report import HOSTILE, made_report
from PIL import Image
from scipy.sparse import csr_array

from tagkin.images import ImageLimits
from tagkin.training.metrics import evaluate
from tagkin.training.report import Splits, build_report, thumbnail
from tagkin.training.report.curves import micro_curve, tag_curves
from tagkin.training.report.examples import example_images
from tagkin.training.tag_table import tag_table
from tagkin.vocabulary import Vocabulary


def test_the_json_holds_every_figure() -> None:
    report = made_report(two_phases=True)
    assert report.reliability_before
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["tagger"] == "tagger <1>"
    assert [row["tag"] for row in content["tags"]] == list(HOSTILE)
    assert [(s["phase"], s["split"]) for s in content["scores"]] == [
        (1, "validation"), (1, "test"), (2, "validation"), (2, "test"),
    ]  # fmt: skip
    assert content["scores"][2]["scores"]["map"] > 0.5
    assert sum(group["tags"] for group in content["groups"]) == len(HOSTILE)
    assert content["history"][0] == {
        "phase": 1, "epoch": 1, "loss": 1.0, "validation_map": 0.5,
    }  # fmt: skip
    assert {"tag": "rare <u>", "images": 2, "reason": "too rare"} in content["dropped"]
    assert {"tag": "no & no", "images": 7, "reason": "excluded"} in content["dropped"]
    assert content["few_training_images"] == {HOSTILE[0]: 0, HOSTILE[1]: 3}
    assert content["calibration"]["before"]["ece"] == report.reliability_before.ece
    assert "jpeg" not in content["best_images"][0]


def test_the_tagger_may_be_of_either_phase() -> None:
    plain = made_report()
    scores = plain.to_dict()["scores"]
    assert {s["phase"] for s in scores} == {plain.phase} == {1}
    assert made_report(two_phases=True).phase == 2
    labels = csr_array(np.eye(3))
    validation = evaluate(labels, np.eye(3, dtype=np.float32), np.full(3, 0.5))
    splits = Splits(validation, phase_2={"validation": validation.scores})
    vocabulary = Vocabulary(("a", "b", "c"), {}, {}, {})
    report = build_report("t", vocabulary, splits, {"train": np.ones(3, int)}, facts={})
    assert report.phase == 1
    assert [(s.phase, s.split) for s in report.scores] == [(1, "validation"), (2, "validation")]


def test_one_phase_without_test_images() -> None:
    labels = csr_array(np.eye(3))
    validation = evaluate(labels, np.eye(3, dtype=np.float32), np.full(3, 0.5))
    rows = tag_table(["a", "b", "c"], {"validation": np.ones(3, int)}, validation)
    assert len(tag_curves(rows, validation)) == 3
    assert np.isnan(rows[0].test_f1)


def test_what_no_score_can_be_had_of_is_null() -> None:
    report = made_report(history=[{"epoch": 0, "loss": float("nan"), "validation_map": 0.1}])
    assert report.to_dict()["history"][0]["loss"] is None


def test_tags_that_nothing_is_known_of_are_named() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 2)) < 0.2
    scores = np.stack([truth[:, 0] * 0.5 + 0.1, rng.random(400)], axis=1)
    validation = evaluate(csr_array(truth), scores, np.full(2, 0.5))
    rows = tag_table(["seen", "luck"], {"validation": truth.sum(axis=0)}, validation)
    assert [row.within_chance for row in rows] == [False, True]


def test_curves_are_short_and_end_at_full_recall() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((3000, 3)) < 0.3
    scores = np.clip(truth * 0.3 + rng.random(truth.shape) * 0.7, 0, 1)
    validation = evaluate(csr_array(truth), scores, np.full(3, 0.5))
    curve = micro_curve("validation", validation)
    assert len(curve.recall) <= 121
    assert curve.recall[-1] == 1
    assert (np.diff(curve.recall) >= 0).all()
    predicted = scores >= np.sort(scores[truth])[0]
    assert abs(curve.precision[-1] - truth.sum() / predicted.sum()) < 1e-3


def test_the_best_and_the_worst_images() -> None:
    truth = np.zeros((5, 3), bool)
    truth[0] = truth[1, 0] = truth[2, 0] = truth[3] = True  # the last image has no tag
    scores = np.zeros((5, 3), np.float32)
    scores[0] = [0.9, 0.8, 0.7]  # three of three
    scores[1, 0] = 0.9  # one of one
    scores[2, 1:] = 0.9  # two wrong ones
    validation = evaluate(csr_array(truth), scores, np.full(3, 0.5))
    best, worst = example_images(
        ("a", "b", "c"), validation, lambda i: f"image {i}", lambda i: None
    )
    assert [image.name for image in best] == ["image 0", "image 1"]
    assert [image.name for image in worst] == ["image 2", "image 3"]
    assert best[0].tags == ("a", "b", "c")
    assert [(t.tag, t.right) for t in best[0].predicted] == [
        ("a", True), ("b", True), ("c", True),
    ]  # fmt: skip
    assert [(t.tag, t.right) for t in worst[0].predicted] == [("b", False), ("c", False)]
    assert worst[1].predicted == ()


def test_thumbnails_are_small_and_keep_their_proportions(tmp_path: Path) -> None:
    limits = ImageLimits(10**8, 10**8)
    Image.effect_noise((1200, 600), 80).convert("RGB").save(tmp_path / "wide.jpg")
    Image.new("RGBA", (30, 40), (0, 0, 0, 0)).save(tmp_path / "small.png")
    (tmp_path / "none.jpg").write_bytes(b"no image")
    data = thumbnail(tmp_path / "wide.jpg", limits)
    assert data is not None
    (tmp_path / "thumbnail.jpg").write_bytes(data)
    with Image.open(tmp_path / "thumbnail.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (160, 80))
    assert len(data) < 12_000
    assert thumbnail(tmp_path / "small.png", limits) is not None
    assert thumbnail(tmp_path / "none.jpg", limits) is None
    assert thumbnail(tmp_path / "missing.jpg", limits) is None
