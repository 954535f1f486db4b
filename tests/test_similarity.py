"""Nearest images and tags."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from numpy.typing import NDArray

from tagkin import similarity
from tagkin.errors import LibraryError, UnknownTagError
from tagkin.records import ImageFile, ImageRow
from tagkin.similarity import SimilarityIndex
from tagkin.vocabulary import TagRules


def row(number: int, *tags: str) -> ImageRow:
    file = ImageFile(Path(f"{number}.png"), tags, 1, 1)
    return ImageRow(f"{number:032x}", (file,), 1, 1, "png", 1, 0, None, None)


def index_of(
    vectors: Sequence[Sequence[float]], tags: Sequence[Sequence[str]], rules: TagRules | None = None
) -> SimilarityIndex:
    rows = [row(number, *some) for number, some in enumerate(tags)]
    return SimilarityIndex(rows, np.array(vectors, np.float16), rules or TagRules())


@pytest.fixture(scope="module")
def demo_index(demo_library: Demo) -> SimilarityIndex:
    return SimilarityIndex.open(demo_library.library, demo_library.config.fingerprint, TagRules())


def brute_force(vectors: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(query)
    result: NDArray[np.float64] = exact @ query / norms
    return result


def test_finds_what_comparing_with_every_image_finds(demo_index: SimilarityIndex) -> None:
    for place in range(0, len(demo_index.rows), 60):
        image = demo_index.rows[place].id
        cosines = brute_force(demo_index.vectors, demo_index.vectors[place].astype(np.float32))
        cosines[place] = -2
        expected = np.sort(cosines)[::-1][:15]
        result = demo_index.similar_to_image(image, limit=15)
        scores = [found.score for found in result.images]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        assert scores == sorted(scores, reverse=True)
        by_id = {row.id: cosine for row, cosine in zip(demo_index.rows, cosines, strict=True)}
        assert all(
            found.score == pytest.approx(by_id[found.id], abs=1e-5) for found in result.images
        )


def test_the_query_itself_is_left_out(demo_index: SimilarityIndex) -> None:
    image = demo_index.rows[0].id
    everything = demo_index.similar_to_image(image, limit=10**6)
    assert len(everything.images) == len(demo_index.rows) - 1
    assert image not in {found.id for found in everything.images}
    vector = demo_index.vectors[0].astype(np.float32)
    itself = demo_index.similar_to_vector(vector, "query", limit=1).images[0]
    assert itself.id == image
    assert itself.score == pytest.approx(1, abs=1e-6)
    assert itself.score <= 1


def test_scores_are_cosines_whatever_the_length(demo_index: SimilarityIndex) -> None:
    vector = demo_index.vectors[3].astype(np.float32)
    short, long = (
        demo_index.similar_to_vector(vector * factor, "q", limit=20) for factor in (1e-3, 1e3)
    )
    assert [i.id for i in short.images] == [i.id for i in long.images]
    opposite = demo_index.similar_to_vector(-vector, "q", limit=10**6)
    scores = [found.score for found in opposite.images]
    assert -1 <= min(scores) < -0.999
    assert max(scores) <= 1


def test_blocks_make_no_difference(
    demo_index: SimilarityIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = demo_index.similar_to_tag("bird", limit=20)
    monkeypatch.setattr(similarity, "_BLOCK", 7)
    blocks = SimilarityIndex(demo_index.rows, demo_index.vectors, demo_index.rules)
    again = blocks.similar_to_tag("bird", limit=20)
    assert [i.id for i in again.images] == [i.id for i in whole.images]
    assert [t.tag for t in again.nearest_tags] == [t.tag for t in whole.nearest_tags]


def test_equal_images_are_ordered_by_id() -> None:
    index = index_of([[1, 0]] * 9 + [[0, 1]], [["t"]] * 10)
    found = index.similar_to_vector(np.array([1, 0], np.float32), "q", limit=4).images
    assert [image.id for image in found] == [f"{n:032x}" for n in range(4)]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_gives_as_many_as_asked_for_or_all(limit: int) -> None:
    index = index_of([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], [["t"]] * 4)
    assert len(index.similar_to_image(f"{0:032x}", limit=limit).images) == min(limit, 3)


def test_a_collection_of_one_image() -> None:
    index = index_of([[1, 0]], [["alone"]])
    assert index.similar_to_image(f"{0:032x}").images == ()
    result = index.similar_to_tag("alone")
    assert [image.score for image in result.images] == [pytest.approx(1)]
    assert result.nearest_tags == ()


def test_vectors_of_nothing_but_zeros_are_no_error() -> None:
    index = index_of([[0, 0], [1, 0]], [["a"], ["b"]])
    result = index.similar_to_vector(np.zeros(2, np.float32), "q")
    assert [image.score for image in result.images] == [0, 0]
    assert result.tags == ()


def test_a_tag_leads_to_its_images_and_its_kin(demo_index: SimilarityIndex) -> None:
    result = demo_index.similar_to_tag("  BIRD ", limit=10)
    assert result.query == "bird"
    carried = sum("bird" in image.tags for image in result.images)
    assert carried >= 5
    assert result.tags[0].tag == "bird"
    near = [score.tag for score in result.nearest_tags]
    assert "animal" in near
    assert "bird" not in near
    assert all(-1 <= score.score <= 1.000001 for score in result.nearest_tags)


def test_tags_that_are_usual_everywhere_do_not_count() -> None:
    index = index_of(
        [[1, 0], [1, 0.1], [0, 1], [0.1, 1]],
        [["image", "cat"], ["image", "cat"], ["image"], ["image"]],
    )
    tags = index.similar_to_vector(np.array([1, 0], np.float32), "q", limit=2).tags
    assert [(score.tag, score.score) for score in tags] == [("cat", pytest.approx(0.5))]


def test_an_unknown_tag_names_the_nearest_spellings(demo_index: SimilarityIndex) -> None:
    with pytest.raises(UnknownTagError, match="did you mean 'bird'"):
        demo_index.similar_to_tag("birdd")
    with pytest.raises(UnknownTagError) as caught:
        demo_index.similar_to_tag("qqqqqqqqq")
    assert "did you mean" not in str(caught.value)


def test_an_unknown_image_is_an_error(demo_index: SimilarityIndex) -> None:
    with pytest.raises(LibraryError, match="abc"):
        demo_index.similar_to_image("abc")


def test_decisions_rename_tags() -> None:
    rules = TagRules(merges={"birds": "bird"})
    index = index_of([[1, 0], [0, 1]], [["Birds"], ["bird"]], rules)
    result = index.similar_to_tag("birds", limit=2)
    assert result.query == "bird"
    assert [image.tags for image in result.images] == [("bird",), ("bird",)]


def test_decisions_of_the_library_are_respected(demo_copy: Demo) -> None:
    demo_copy.library.decide("merge", ["animal", "bird"], canonical="bird")
    library = demo_copy.library
    rules = TagRules.from_settings(demo_copy.settings, library.decisions())
    index = SimilarityIndex.open(library, demo_copy.config.fingerprint, rules)
    result = index.similar_to_tag("animal", limit=5)
    assert result.query == "bird"
    assert not any("animal" in image.tags for image in result.images)


def test_a_library_without_vectors_says_what_to_do(demo_library: Demo) -> None:
    with pytest.raises(LibraryError, match="tagkin embed"):
        SimilarityIndex.open(demo_library.library, "no-such-fingerprint", TagRules())


def test_json(demo_index: SimilarityIndex) -> None:
    image = demo_index.rows[0]
    content = json.loads(json.dumps(demo_index.similar_to_image(image.id, limit=2).to_dict()))
    assert set(content) == {"query", "images", "tags"}
    assert content["query"] == str(image.paths[0])
    assert [set(found) for found in content["images"]] == [{"id", "paths", "score", "tags"}] * 2
    assert all(isinstance(path, str) for path in content["images"][0]["paths"])
    assert all(set(score) == {"tag", "score"} for score in content["tags"])
    assert "nearest_tags" in demo_index.similar_to_tag("bird").to_dict()
