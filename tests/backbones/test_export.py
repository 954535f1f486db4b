"""The exported graph computes what the Keras model does, on real drawings."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, Runtime, cached_graph
from tagkin.backbones.export import export_model
from tagkin.backbones.keras_models import build_model, import_keras
from tagkin.embeddings import decode_views
from tagkin.errors import BackboneError
from tagkin.hardware import processor_flags
from tagkin.images import ImageLimits, read_bytes
from tagkin.settings import Settings


@pytest.fixture(scope="module")
def drawings(
    demo_images: list[Path], lite0_config: BackboneConfig, lite0_settings: Settings
) -> NDArray[np.uint8]:
    limits = ImageLimits.from_settings(lite0_settings)
    some = demo_images[::10]
    return np.stack([decode_views(read_bytes(p, limits), lite0_config, limits)[0] for p in some])


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    result: NDArray[np.float32] = (a * b).sum(axis=1) / norms
    return result


def neighbour_overlap(a: NDArray[np.float32], b: NDArray[np.float32], count: int = 10) -> float:
    """The share of nearest neighbours by cosine that two embeddings of images share."""

    def nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = units @ units.T
        np.fill_diagonal(scores, -2)
        return np.argsort(-scores, axis=1)[:, :count]

    pairs = zip(nearest(a).tolist(), nearest(b).tolist(), strict=True)
    return float(np.mean([len(set(x) & set(y)) / count for x, y in pairs]))


def test_agrees_with_keras(
    lite0: Runtime, lite0_config: BackboneConfig, drawings: NDArray[np.uint8]
) -> None:
    expected = build_model(lite0_config).predict(drawings.astype(np.float32), verbose=0)
    vectors = lite0.embed(drawings)
    assert cosines(vectors, expected).min() >= 0.9999
    assert neighbour_overlap(vectors, expected) >= 0.99


@pytest.mark.skipif(
    not processor_flags() & {"avx512_bf16", "amx_bf16"}, reason="no bf16 instructions"
)
def test_bf16_costs_little(
    lite0: Runtime,
    lite0_config: BackboneConfig,
    cache_dir: Path,
    drawings: NDArray[np.uint8],
) -> None:
    single = lite0.embed(drawings)
    half = Runtime(cached_graph(lite0_config, cache_dir), "bf16").embed(drawings)
    overlap = neighbour_overlap(half, single)
    print(f"bf16: mean cosine {cosines(half, single).mean():.4f}, 10 nearest {overlap:.3f}")
    assert cosines(half, single).mean() >= 0.998
    assert overlap >= 0.9


def test_a_model_whose_values_are_not_finite_is_refused(tmp_path: Path) -> None:
    keras = import_keras()
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    broken = keras.Model(inputs, keras.layers.Rescaling(float("nan"))(pooled))
    with pytest.raises(BackboneError, match="please report"):
        export_model(broken, tmp_path)
    assert not (tmp_path / "model.xml").exists()
