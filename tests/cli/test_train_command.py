"""``tagkin train`` and how ``tagkin predict`` orders its tags, in processes of their own."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, RunTagkin

from tagkin.head import margins


def test_the_report_page_and_the_phases_are_told(demo_copy: Demo, run_tagkin: RunTagkin) -> None:
    quick = {"TAGKIN_MAX_EPOCHS": "3"}
    done = run_tagkin("train", "--library", demo_copy.path, "--json", "--loss", "asl", env=quick)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    page = Path(told["page"])
    assert page == demo_copy.library.taggers_path / told["tagger"] / "report.html"
    assert told["tagger"] in page.read_text("utf-8")
    assert json.loads(page.with_suffix(".json").read_text("utf-8"))["facts"]["loss"] == "asl"
    (phase,) = told["phases"]
    assert told["phase"] == phase["phase"] == 1
    assert phase["scores"]["validation"] == told["validation"]
    assert phase["scores"]["test"] == told["test"]
    assert [epoch["epoch"] for epoch in phase["history"]] == [1, 2, 3]
    assert 1 <= phase["best_epoch"] <= 3

    done = run_tagkin("train", "--library", demo_copy.path, env=quick)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("report: ")
    assert Path(done.stdout.splitlines()[-1].removeprefix("report: ")).is_file()
    assert "phase 2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--loss", "nonsense"], ["loss", "nonsense", "'bce'", "'asl'"]),
        (["--fine-tune-views", "0"], ["fine_tune_views"]),
        (["--fine-tune-learning-rate", "0"], ["fine_tune_learning_rate"]),
        (["--fine-tune", "--trainable-layers", "0"], ["trainable_layers"]),
    ],
)
def test_a_wrong_option_is_one_clear_message(
    options: list[str], expected: list[str], demo_library: Demo, run_tagkin: RunTagkin
) -> None:
    done = run_tagkin("train", "--library", demo_library.path, *options)
    assert done.returncode == 2
    assert all(part in done.stderr for part in expected), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_tags_are_ordered_by_what_is_asked_for(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin
) -> None:
    common = ("predict", *demo_images[:8], "--library", demo_library.path, "--top", "3", "--json")
    done = run_tagkin(*common, "--rank", "probability")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line)["tags"] for line in done.stdout.splitlines()]
    assert [len(tags) for tags in lines] == [3] * 8
    for tags in lines:
        scores = [tag["score"] for tag in tags]
        assert scores == sorted(scores, reverse=True)

    done = run_tagkin(*common)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        tags = json.loads(line)["tags"]
        scores, thresholds = (np.array([t[k] for t in tags]) for k in ("score", "threshold"))
        assert (np.diff(margins(scores, thresholds)) <= 1e-4).all()

    done = run_tagkin(*common, "--rank", "luck")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'margin'" in done.stderr
    assert "Traceback" not in done.stderr
