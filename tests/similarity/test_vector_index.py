"""The vectors of a library, exactly and by an index."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers_search import FINGERPRINT, image_id, library_of, row
from numpy.typing import NDArray

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.similarity import vector_index
from tagkin.similarity.approximate import (
    ApproximateIndex,
    RecallTrial,
    build_index,
    lists_for,
    read_report,
)
from tagkin.similarity.checking import check_index
from tagkin.similarity.vector_index import VectorIndex, index_need, keep_index
from tagkin.unit_vectors import unit

IMAGES, DIMENSION = 3000, 32


def clustered(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors in groups, as those of real images are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(60, DIMENSION))
    noise = rng.normal(size=(count, DIMENSION)) * 0.4
    return (centres[rng.integers(60, size=count)] + noise).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("index") / "library"
    made = library_of(path, [row(n) for n in range(IMAGES)], clustered(IMAGES).tolist())
    build_index(made.stored_vectors(FINGERPRINT), made.index_path(FINGERPRINT))
    return made


def exact_best(index: VectorIndex, query: NDArray[np.float32], limit: int) -> set[int]:
    stored = index.stored.take(np.arange(len(index.stored)))
    return set(np.argsort(-(unit(stored) @ unit(query)))[:limit].tolist())


def test_the_index_finds_what_comparing_with_all_finds(library: Library) -> None:
    index = VectorIndex.open(library, FINGERPRINT)
    assert index.approximate is not None
    shares = []
    for query in clustered(50, seed=5):
        places, cosines = index.search(query, 10)
        best = places[np.argsort(-cosines)][:10]
        shares.append(len(set(best.tolist()) & exact_best(index, query, 10)) / 10)
        exact = unit(index.stored.take(places)) @ unit(query)
        np.testing.assert_allclose(cosines, exact, atol=1e-6)
    assert np.mean(shares) >= 0.97


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5])
def test_a_filter_leaves_enough_to_find(library: Library, share: float) -> None:
    index = VectorIndex.open(library, FINGERPRINT)
    allowed = np.random.default_rng(3).random(IMAGES) < share
    found_shares = []
    for query in clustered(20, seed=6):
        places, cosines = index.search(query, 10, allowed)
        assert allowed[places].all()
        best = places[np.argsort(-cosines)][:10].tolist()
        scores = unit(index.stored.take(np.arange(IMAGES))) @ unit(query)
        expected = np.flatnonzero(allowed)[np.argsort(-scores[allowed])][:10]
        assert len(best) == len(expected)
        found_shares.append(len(set(best) & set(expected.tolist())) / max(1, len(expected)))
    assert share == 0 or np.mean(found_shares) >= 0.95


def test_what_came_after_the_index_is_found(tmp_path: Path) -> None:
    vectors = clustered(600)
    library = library_of(tmp_path / "library", [row(n) for n in range(600)], vectors[:500].tolist())
    build_index(library.stored_vectors(FINGERPRINT), library.index_path(FINGERPRINT))
    library.add_vectors(FINGERPRINT, [image_id(n) for n in range(500, 600)], vectors[500:])
    index = VectorIndex.open(library, FINGERPRINT)
    for number in (3, 550, 599):
        places, cosines = index.search(vectors[number], 1)
        nearest = index.stored.ids[places[np.argmax(cosines)]].decode()
        assert nearest == image_id(number)
        rough = index.rough(np.array([places[np.argmax(cosines)]]))[0]
        assert rough @ unit(vectors[number]) > 0.999


def test_a_vector_that_two_runs_stored_is_found_once(tmp_path: Path) -> None:
    vectors = clustered(100)
    library = library_of(tmp_path / "library", [row(n) for n in range(100)], vectors.tolist())
    table = library.stored_vectors(FINGERPRINT)
    import lance

    path = library.path / f"vectors-{FINGERPRINT}.lance"
    lance.write_dataset(lance.dataset(str(path)).to_table().slice(0, 30), str(path), mode="append")
    assert len(library.stored_vectors(FINGERPRINT)) == len(table) + 30
    for indexed in (False, True):
        if indexed:
            build_index(library.stored_vectors(FINGERPRINT), library.index_path(FINGERPRINT))
        index = VectorIndex.open(library, FINGERPRINT)
        places, _ = index.search(vectors[4], 100)
        assert len(set(index.stored.ids[places].tolist())) == len(places) == 100
    ids, matrix = library.vectors(FINGERPRINT)
    assert ids == sorted(set(ids))
    np.testing.assert_array_equal(matrix, vectors.astype(np.float16))


def test_an_index_is_made_when_it_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(300)
    library = library_of(tmp_path / "library", [row(n) for n in range(300)], vectors[:200].tolist())
    assert not keep_index(library, FINGERPRINT).wanted  # few are compared one by one
    assert read_report(library.index_path(FINGERPRINT)) is None
    monkeypatch.setattr(vector_index, "INDEX_FROM", 150)
    assert keep_index(library, FINGERPRINT).wanted
    assert not index_need(library, FINGERPRINT).wanted
    library.add_vectors(FINGERPRINT, [image_id(n) for n in range(200, 300)], vectors[200:])
    assert "200 of 300" in index_need(library, FINGERPRINT).reason
    assert keep_index(library, FINGERPRINT).wanted
    report = read_report(library.index_path(FINGERPRINT))
    assert report is not None
    assert report.vectors == 300
    assert report.recall >= 0.98
    assert report.bytes > 300 * DIMENSION


def test_a_check_compares_with_all(library: Library, tmp_path: Path) -> None:
    checked = check_index(library, FINGERPRINT)
    assert checked.queries == 256
    assert checked.recall >= 0.97
    assert checked.milliseconds > 0
    small = library_of(tmp_path / "library", [row(0), row(1)], [[1, 0], [0, 1]])
    with pytest.raises(LibraryError, match="no search index"):
        check_index(small, FINGERPRINT)


def test_the_trial_notices_an_index_that_misses(library: Library) -> None:
    stored = library.stored_vectors(FINGERPRINT)
    trial = RecallTrial.of(stored, np.arange(IMAGES), seed=2, queries=30)
    truth = [np.argsort(-(unit(stored.take(np.arange(IMAGES))) @ q))[:11] for q in trial.queries]
    assert trial.recall(truth) == 1
    assert trial.recall([found[:6] for found in truth]) == pytest.approx(0.5)
    assert trial.recall([found[:0] for found in truth]) == 0


@pytest.mark.parametrize("what", ["index.faiss", "ids.npy", "index.json"])
def test_damage_is_noticed(library: Library, tmp_path: Path, what: str) -> None:
    import shutil

    folder = tmp_path / "index"
    shutil.copytree(library.index_path(FINGERPRINT), folder)
    (folder / what).write_bytes((folder / what).read_bytes()[:-40] + b"x" * 20)
    with pytest.raises(LibraryError, match="tagkin index"):
        ApproximateIndex.load(folder)


def test_another_format_is_no_index_of_ours(library: Library, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "index"
    shutil.copytree(library.index_path(FINGERPRINT), folder)
    about = json.loads((folder / "index.json").read_text("utf-8"))
    (folder / "index.json").write_text(json.dumps({**about, "format": 99}), "utf-8")
    assert read_report(folder) is None
    with pytest.raises(LibraryError, match="format 99"):
        ApproximateIndex.load(folder)


def test_few_vectors_need_few_lists() -> None:
    assert [lists_for(n) for n in (1, 10, 100, 10_000, 1_000_000)] == [1, 1, 12, 200, 2000]
