"""Each tag's figures, and the groups by frequency."""

import json
import math

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from tagkin.training.metrics import evaluate
from tagkin.training.tag_table import FREQUENT_FROM, RARE_BELOW, TagRow, tag_groups, tag_table


def made(images: int = 60, tags: int = 4) -> tuple[np.ndarray, np.ndarray, list[TagRow]]:
    rng = np.random.default_rng(0)
    truth = rng.random((images, tags)) < 0.3
    truth[:, 3] = False
    scores = np.clip(truth * 0.3 + rng.random(truth.shape) * 0.7, 0, 1).astype(np.float32)
    scores[:, 2] = 0.1  # never predicted
    validation = evaluate(csr_array(truth), scores, np.full(tags, 0.5))
    counts = {"train": np.array([40, 500, 5, 1]), "validation": truth.sum(axis=0)}
    return truth, scores, tag_table(["a", "b", "c", "d"], counts, validation)


def test_figures_are_scikit_learns() -> None:
    truth, scores, rows = made()
    for tag in (0, 1):
        row = rows[tag]
        expected = precision_recall_fscore_support(
            truth[:, tag], scores[:, tag] >= 0.5, average="binary"
        )
        assert (row.precision, row.recall, row.f1) == pytest.approx(expected[:3])
        ap = average_precision_score(truth[:, tag], scores[:, tag])
        assert row.average_precision == pytest.approx(ap)
        assert row.chance == pytest.approx(truth[:, tag].mean())
        assert row.threshold == 0.5
        assert not row.within_chance


def test_counts_come_from_all_splits() -> None:
    truth, _, rows = made()
    assert rows[0].train == 40
    assert rows[0].validation == truth[:, 0].sum()
    assert rows[0].test == 0
    assert rows[0].images == 40 + truth[:, 0].sum()


def test_what_is_unknown_is_said_so() -> None:
    _, _, rows = made()
    never_predicted, never_there = rows[2], rows[3]
    assert math.isnan(never_predicted.precision)
    assert never_predicted.f1 == 0
    # All scores alike: its average precision is that of chance.
    assert never_predicted.within_chance
    assert math.isnan(never_there.average_precision)
    assert not never_there.within_chance  # nobody knows
    content = json.loads(json.dumps([row.to_dict() for row in rows], allow_nan=False))
    assert content[3]["average_precision"] is None
    assert content[2]["within_chance"] is True


def test_groups_are_by_images_in_all_splits() -> None:
    _, _, rows = made()
    rare, middling, frequent = tag_groups(rows)
    assert [rare.name, middling.name, frequent.name] == ["rare", "middling", "frequent"]
    assert (rare.tags, rare.scored) == (2, 1)
    assert rare.map == pytest.approx(rows[2].average_precision)
    assert frequent.f1 == pytest.approx(rows[1].f1)
    assert math.isnan(frequent.test_map)
    assert sum(group.tags for group in (rare, middling, frequent)) == 4
    json.dumps(rare.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("images", "name"),
    [
        (RARE_BELOW - 1, "rare"),
        (RARE_BELOW, "middling"),
        (FREQUENT_FROM - 1, "middling"),
        (FREQUENT_FROM, "frequent"),
    ],
)
def test_the_limits_of_the_groups(images: int, name: str) -> None:
    row = TagRow("t", images, images, 0, 0, *[math.nan] * 9, ())
    assert [group.name for group in tag_groups([row]) if group.tags] == [name]
