"""A small report, hostile names included."""

import io
from typing import Any

import numpy as np
from PIL import Image
from scipy.sparse import csr_array

from tagkin.training.metrics import evaluate
from tagkin.training.reliability import reliability
from tagkin.training.report import Splits, TaggerReport, build_report
from tagkin.training.score_blocks import tag_counts
from tagkin.vocabulary import Vocabulary

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"quotes\" & 'more', with a comma",
    "emoji 🦊👨‍👩‍👧",
    "עברית עם English",
    "{{ 7 * 7 }} {% raw %}",
    "line\u2028separator <!-- comment",
    "\u202eturned",
    "a" * 300,
)


def jpeg() -> bytes:
    """A JPEG of a few pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (90, 120, 40)).save(buffer, "JPEG")
    return buffer.getvalue()


def labels_and_scores(images: int, tags: int, seed: int) -> tuple[Any, np.ndarray]:
    """Labels of which the scores know something, but nothing of the last tag."""
    rng = np.random.default_rng(seed)
    truth = rng.random((images, tags)) < np.linspace(0.5, 0.1, tags)
    scores = np.clip(truth * 0.4 + rng.random(truth.shape) * 0.6, 0, 1).astype(np.float32)
    scores[:, -1] = rng.random(images)
    return csr_array(truth.astype(np.float32) * 0.5), scores


def made_report(
    tags: tuple[str, ...] = HOSTILE, *, images: int = 80, two_phases: bool = False, **changes: Any
) -> TaggerReport:
    """Builds a report on random images."""
    labels, scores = labels_and_scores(images, len(tags), 0)
    test_labels, test_scores = labels_and_scores(images // 2, len(tags), 1)
    thresholds = np.full(len(tags), 0.5, np.float32)
    validation = evaluate(labels, scores, thresholds)
    test = evaluate(test_labels, test_scores, thresholds)
    phase_1 = {"validation": test.scores, "test": validation.scores} if two_phases else None
    arguments: dict[str, Any] = {
        "facts": {"backbone": "<b>", "images": 12345, "views": ("pad", "flip"), "share": 0.25},
        "history": [
            {"epoch": epoch, "loss": 1 / epoch, "validation_map": 1 - 1 / (epoch + 1)}
            for epoch in (1, 2, 3)
        ],
        "best_epochs": {1: 3},
        "reliability_before": reliability(labels, scores**2),
        "names": lambda place: f"<i>{place}</i>.jpg",
        "thumbnails": lambda place: jpeg() if place % 2 else None,
        "created": "2026-01-02T03:04:05+00:00",
        **changes,
    }
    return build_report(
        "tagger <1>",
        Vocabulary(
            tags=tags,
            counts=dict.fromkeys(tags, 20),
            too_rare={"rare <u>": 2},
            excluded={"no & no": 7},
        ),
        Splits(validation, test, phase_1),
        {
            "train": np.arange(len(tags)) * 3,
            "validation": tag_counts(labels),
            "test": tag_counts(test_labels),
        },
        **arguments,
    )
