"""Learns from public lists how the spellings of one word differ, and writes what Tagkin ships.

python benchmarks/train_spelling.py [--write src/tagkin/variants/data/spelling.json]
    [--page docs/spelling.md] [--typos FILE ...]

Gradient-boosted trees tell pairs that mean the same (typing errors, plurals, British spelling and
so on) from pairs of common words. Both classes weigh the same, so the outcome is a log-likelihood
ratio. One word in five, with all its pairs, is held out; the report is about those only.

Needs ``pip install tagkin codespell`` and, from Debian, ``wordnet-base wamerican wbritish``.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pages import show
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spelling_lists import KINDS, Example, is_held_out, negatives, positives, weighted, word_lists
from spelling_peers import hand_made_llr

from tagkin.variants.folding import make_form
from tagkin.variants.spelling_features import FEATURES, Text, features, to_text
from tagkin.variants.spelling_model import to_model
from tagkin.variants.word_lists import WordLists

# More edits never make two words likelier one.
_MONOTONE = {"distance": -1, "share": -1}
_STRATA = (0.95, 0.9, 0.86, 0.82, 0.77, 0.72, 0.6, 0.0)
_MASKED = 0.1
_LONGEST_LLR = 20.0
_HARD = 0.86

Array = NDArray[Any]


def text(word: str) -> Text:
    return to_text(make_form(word))


def table(examples: Sequence[Example], lists: WordLists) -> Array:
    return features([(text(e.a), text(e.b)) for e in examples], lists)


def labels(examples: Sequence[Example]) -> tuple[Array, Array]:
    """1 for the same, and weights that give both classes the same mass."""
    y = np.array([e.kind != "different" for e in examples], int)
    weight = np.array([e.weight for e in examples])
    for label in (0, 1):
        weight[y == label] *= len(y) / 2 / weight[y == label].sum()
    return y, weight


def fit(X: Array, y: Array, weight: Array, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=120,
        max_leaf_nodes=16,
        max_depth=6,
        min_samples_leaf=50,
        l2_regularization=1.0,
        monotonic_cst=[_MONOTONE.get(name, 0) for name in FEATURES],
        early_stopping=False,
        random_state=seed,
    ).fit(X, y, sample_weight=weight)


def stratify(X: Array, y: Array, weight: Array) -> tuple[Array, list[list[float]]]:
    """Weights that give both classes the same mass in each stratum, and what that took away.

    Nearly all pairs of two words are worlds apart. Weighed as they are, the few that are one
    letter apart would not bend the trees, though they are the ones that matter. What a stratum
    itself says is known from the counts and added afterwards.
    """
    likeness = X[:, FEATURES.index("jaro_winkler")]
    weight, offsets, above = weight.copy(), [], 2.0
    mass = [weight[y == label].sum() for label in (0, 1)]
    for least in _STRATA:
        inside = (likeness >= least) & (likeness < above)
        above = least
        share = [weight[inside & (y == label)].sum() / mass[label] for label in (0, 1)]
        offsets.append([least, round(float(np.log(share[1] / share[0])), 4)])
        number = inside.sum()
        for label in (0, 1):
            rows = inside & (y == label)
            weight[rows] *= number / 2 / weight[rows].sum()
    return weight, offsets


def export(model: HistGradientBoostingClassifier, offsets: list[list[float]]) -> dict[str, Any]:
    """The trees as plain numbers."""
    trees = []
    deepest = 0
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        own = np.arange(len(nodes))
        leaf = nodes["is_leaf"].astype(bool)
        deepest = max(deepest, int(nodes["depth"].max()))
        trees.append(
            {
                "feature": np.where(leaf, 0, nodes["feature_idx"]).tolist(),
                "threshold": [
                    # To the last digit: a threshold may be one of the values itself.
                    float(value)
                    for value in np.where(leaf, 0, nodes["num_threshold"])
                ],
                "left": np.where(leaf, own, nodes["left"]).tolist(),
                "right": np.where(leaf, own, nodes["right"]).tolist(),
                "value": [round(float(value), 5) for value in np.where(leaf, nodes["value"], 0)],
            }
        )
    base = float(model._baseline_prediction.ravel()[0])
    return {
        "features": list(FEATURES),
        "base": round(base, 6),
        "strata": offsets,
        "depth": deepest,
        "trees": trees,
    }


def report(scores: dict[str, Array], examples: Sequence[Example], likeness: Array) -> list[str]:
    """Each method on the held-out pairs of each kind against all held-out pairs of other words.

    A cell holds the average precision if one pair in ten thousand means the same, the area under
    the ROC curve among pairs whose Jaro-Winkler similarity is at least `_HARD`, and the log-loss.
    """
    y, weight = labels(examples)
    hard = likeness >= _HARD
    kinds = np.array([e.kind for e in examples])
    lines = [
        "| pairs | number | " + " | ".join(scores) + " |",
        "|---|---|" + "---|" * len(scores),
    ]
    for kind in ("all", *KINDS):
        rows = (y == 0) | (kinds == kind) | (kind == "all")
        part = weight[rows].copy()
        for label in (0, 1):
            part[y[rows] == label] *= 0.5 / part[y[rows] == label].sum()
        cells = []
        for llr in scores.values():
            p = expit(np.clip(llr[rows], -_LONGEST_LLR, _LONGEST_LLR))
            cells.append(
                f"{_average_precision(y[rows], llr[rows], part):.3f} / "
                f"{roc_auc_score(y[rows & hard], llr[rows & hard]):.3f} / "
                f"{log_loss(y[rows], p, sample_weight=part):.3f}"
            )
        lines.append(f"| {kind} | {int((rows & (y == 1)).sum()):,} | " + " | ".join(cells) + " |")
    return lines


def _average_precision(y: Array, llr: Array, weight: Array) -> float:
    # As among tags: one pair in ten thousand means the same.
    return float(
        average_precision_score(y, llr, sample_weight=np.where(y == 1, weight, weight * 1e4))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--typos", type=Path, action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.process_time()
    lists = word_lists()
    same = [e for e in positives(lists, options.typos, options.seed) if e.a != e.b]
    rng = np.random.default_rng(options.seed)
    count = Counter(e.kind for e in same)
    same = [e for e in same if rng.random() < 20_000 / count[e.kind]]
    other = list(negatives(lists, {frozenset((e.a, e.b)) for e in same}, options.seed))
    train = weighted([e for e in same if not is_held_out(e.b)])
    train += [e for e in other if not (is_held_out(e.a) or is_held_out(e.b))]
    test = weighted([e for e in same if is_held_out(e.b)])
    test += [e for e in other if is_held_out(e.a) and is_held_out(e.b)]
    masked = word_lists(_MASKED)
    none = WordLists({})
    y, weight = labels(train)
    # Half of the mass without word lists, so that the model serves both.
    X = np.concatenate([table(train, masked), table(train, none)])
    y2, weight2 = np.tile(y, 2), np.tile(weight / 2, 2)
    balanced, offsets = stratify(X, y2, weight2)
    model = fit(X, y2, balanced, options.seed)
    data = export(model, offsets)
    shipped = to_model(data)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    linear.fit(X, y2, logisticregression__sample_weight=weight2)
    known, unknown = table(test, masked), table(test, none)
    likeness = FEATURES.index("jaro_winkler")
    jaro = LogisticRegression().fit(X[:, [likeness]], y2, sample_weight=weight2)
    difference = np.abs(shipped.trees(known) - model.decision_function(known)).max()
    print(f"{len(train):,} pairs to learn from, {time.process_time() - start:.0f} s of one core;")
    print(f"largest difference of the export {difference:.1e}; strata {offsets}")
    scores = {
        "trees": shipped.llr(known),
        "trees, no word lists": shipped.llr(unknown),
        "logistic": linear.decision_function(known),
        "Jaro-Winkler": jaro.decision_function(known[:, [likeness]]),
        "by hand": np.array(
            [hand_made_llr(text(e.a).letters, text(e.b).letters) for e in test], float
        ),
    }
    show("spelling", report(scores, test, known[:, likeness]), options.page)
    if options.write:
        options.write.write_text(json.dumps(data, separators=(",", ":")) + "\n")
        print(f"{options.write}: {options.write.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
