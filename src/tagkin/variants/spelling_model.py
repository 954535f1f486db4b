"""The learnt part of string evidence: boosted trees, evaluated without the library that grew them.

Trained by ``benchmarks/train_spelling.py`` on public lists; what it learnt is a table of numbers
that ships with the package, free of pickles and of scikit-learn's versions.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagkin.variants.spelling_features import FEATURES, Floats32

MODEL_FILE: Final = "spelling.json"
_ROWS = 4096


@dataclass(frozen=True)
class SpellingModel:
    """T trees of at most M nodes, and what likeness says by itself.

    The sum of leaves is a log-likelihood ratio among pairs of about the same Jaro-Winkler
    similarity, its stratum; the stratum's own comes on top.

    Attributes:
        feature: (T, M) int64, the column a node looks at.
        threshold: (T, M) float64, up to and including which a row goes left.
        left: (T, M) int64, the node for those rows; a leaf names itself.
        right: (T, M) int64, the node for the others.
        value: (T, M) float32, what a leaf adds.
        base: What every row starts from.
        depth: Steps from the root to the lowest leaf.
        strata: (S,) float64, least Jaro-Winkler similarity of each stratum, rising.
        offset: (S,) float64, the log-likelihood ratio of each.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats32
    base: float
    depth: int
    strata: NDArray[np.float64]
    offset: NDArray[np.float64]

    def llr(self, features: Floats32) -> NDArray[np.float64]:
        """(P,) float64 natural-log likelihood ratios of (P, len(FEATURES)) rows."""
        likeness = features[:, FEATURES.index("jaro_winkler")].astype(np.float64)
        stratum = np.searchsorted(self.strata, likeness, side="right") - 1
        result: NDArray[np.float64] = self.trees(features) + self.offset[np.maximum(stratum, 0)]
        return result

    def trees(self, features: Floats32) -> NDArray[np.float64]:
        """(P,) float64, the sum of the leaves alone."""
        result = np.zeros(len(features), np.float64)
        trees = np.arange(len(self.feature))
        for start in range(0, len(features), _ROWS):
            block = features[start : start + _ROWS]
            rows = np.arange(len(block))[:, None]
            node = np.zeros((len(block), len(trees)), np.int64)
            for _ in range(self.depth):
                low = block[rows, self.feature[trees, node]] <= self.threshold[trees, node]
                node = np.where(low, self.left[trees, node], self.right[trees, node])
            result[start : start + _ROWS] = self.base + self.value[trees, node].sum(axis=1)
        return result


def to_model(data: dict[str, Any]) -> SpellingModel:
    """Reads what the training wrote.

    Raises:
        ValueError: It was made for other features.
    """
    if tuple(data["features"]) != FEATURES:
        raise ValueError(
            f"{MODEL_FILE} was trained on other features; run benchmarks/train_spelling.py again"
        )
    trees, strata = data["trees"], sorted(data["strata"])
    size = max(len(tree["feature"]) for tree in trees)

    def table(name: str, kind: type) -> NDArray[Any]:
        result: NDArray[Any] = np.zeros((len(trees), size), kind)
        for row, tree in enumerate(trees):
            result[row, : len(tree[name])] = tree[name]
        return result

    return SpellingModel(
        feature=table("feature", np.int64),
        threshold=table("threshold", np.float64),
        left=table("left", np.int64),
        right=table("right", np.int64),
        value=table("value", np.float32),
        base=float(data["base"]),
        depth=int(data["depth"]),
        strata=np.array([least for least, _ in strata], np.float64),
        offset=np.array([llr for _, llr in strata], np.float64),
    )


@cache
def shipped_model() -> SpellingModel:
    """The model that comes with the package; read once."""
    return to_model(json.loads((files("tagkin.variants") / "data" / MODEL_FILE).read_text()))
