import numpy as np

from tagkin.variants.calibration import fit_content
from tagkin.variants.content import content_features
from tagkin.variants.context import shared_company
from tagkin.variants.incidence import Incidence, build_incidence, pair_sets, shared_counts
from tagkin.variants.visual import build_space

from .made import collection


def made() -> tuple[Incidence, np.ndarray, dict[str, int]]:
    tags, vectors = collection({"orchid": ("orchid", "orchids")})
    incidence = build_incidence(tags, 3)
    return incidence, vectors, {name: place for place, name in enumerate(incidence.names)}


def test_exclusive_sets_leave_shared_images_out() -> None:
    incidence = build_incidence([["a", "b"], ["a"], ["a"], ["b"]], 1)
    sets = pair_sets(incidence, np.array([0]), np.array([1]))
    assert sets.only_a.indices.tolist() == [1, 2]
    assert sets.only_b.indices.tolist() == [3]
    assert shared_counts(incidence, np.array([0]), np.array([1])).tolist() == [1]


def test_kin_agree_in_looks_and_company_and_strangers_do_not() -> None:
    incidence, vectors, index = made()
    space = build_space(incidence, vectors)
    assert space is not None
    a = np.array([index["orchid"], index["volcano"]])
    b = np.array([index["orchids"], index["kitchen"]])
    features = content_features(incidence, space, a, b)
    for values in (
        features.context_factor,
        features.context_cosine,
        features.visual_ratio,
        features.visual_cosine,
    ):
        assert values[0] > values[1] + 0.2
    assert features.visual_ratio[0] > 0 > features.visual_ratio[1]


def test_one_image_on_a_side_says_nothing() -> None:
    incidence = build_incidence([["a", "b"], ["a", "b"], ["a"], ["b"], ["a"]], 1)
    features = content_features(incidence, None, np.array([0]), np.array([1]))
    model = fit_content(incidence, None, ("context",), features, features, seed=0)
    assert not model.fitted
    assert model.llr(features).tolist() == [0.0]


def test_the_order_of_the_tags_makes_no_difference() -> None:
    incidence, vectors, _ = made()
    space = build_space(incidence, vectors)
    a, b = np.array([0, 1, 2]), np.array([3, 4, 5])
    one, other = (content_features(incidence, space, *pair) for pair in ((a, b), (b, a)))
    np.testing.assert_allclose(one.context_factor, other.context_factor, rtol=1e-6)
    np.testing.assert_allclose(one.visual_ratio, other.visual_ratio, rtol=1e-4, atol=1e-6)


def test_more_alike_never_makes_less_probable() -> None:
    incidence, vectors, _ = made()
    space = build_space(incidence, vectors)
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.integers(0, len(incidence.names), (2, 400)), axis=0)
    features = content_features(incidence, space, a[a != b], b[a != b])
    none = content_features(incidence, space, a[:0], b[:0])
    model = fit_content(incidence, space, ("context", "visual"), features, none, seed=0)
    assert model.fitted
    assert (model.weights >= 0).all()


def test_company_names_the_shared_neighbours() -> None:
    incidence, _, index = made()
    assert shared_company(incidence, index["orchid"], index["orchids"])[0] == "with i"
