"""EfficientNet-Lite0 and its packaged weights."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tagkin.backbones.keras_models import import_keras
from tagkin.backbones.lite0 import build_lite0, load_packaged_weights, packaged_weights
from tagkin.backbones.torch_legacy import load_legacy_checkpoint
from tagkin.errors import WeightsError


def test_has_as_many_weights_as_published() -> None:
    import_keras()
    model = build_lite0(64, include_top=True)
    assert model.count_params() == pytest.approx(4.7e6, rel=0.02)
    assert model.output_shape == (None, 1000)
    assert build_lite0(64).output_shape == (None, 1280)


def test_every_packaged_array_has_its_place() -> None:
    import_keras()
    model = build_lite0(64, include_top=True)
    load_packaged_weights(model)
    arrays = load_legacy_checkpoint(packaged_weights())
    used = {n: a for n, a in arrays.items() if not n.endswith("num_batches_tracked")}
    assert len(model.weights) == len(used)
    assert sum(a.size for a in used.values()) == model.count_params()
    sums = sorted(float(np.abs(a).sum()) for a in used.values())
    placed = sorted(float(np.abs(w.numpy()).sum()) for w in model.weights)
    np.testing.assert_allclose(placed, sums, rtol=1e-4)


def test_a_file_that_is_none_of_its_own_is_an_error(tmp_path: Path) -> None:
    import_keras()
    path = tmp_path / "other.pth"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(WeightsError, match=r"other\.pth"):
        load_packaged_weights(build_lite0(64), path)
