"""Nearest images and tags."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from helpers_search import FINGERPRINT, image_id, library_of, row, searcher_of
from numpy.typing import NDArray

from tagkin.errors import LibraryError, UnknownTagError
from tagkin.settings import load_settings
from tagkin.similarity import Collection, Searcher, learned_directions, parse_query
from tagkin.similarity import vector_index as vector_index_module
from tagkin.tagger import Tagger


@pytest.fixture(scope="module")
def demo(demo_library: Demo) -> Searcher:
    return open_demo(demo_library)


def open_demo(demo: Demo) -> Searcher:
    library = demo.library
    collection = Collection.open(library, demo.settings)
    learned = None
    if demo.report is not None:
        tagger = Tagger.load(demo.tagger)
        learned = learned_directions(tagger)
    return Searcher.open(library, demo.config.fingerprint, collection, learned)


def cosines_of(searcher: Searcher, query: NDArray[np.float32]) -> dict[str, float]:
    exact = searcher.index.stored.take(np.arange(len(searcher.index.stored))).astype(np.float64)
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(query)
    ids = [image.decode() for image in searcher.index.stored.ids.tolist()]
    return dict(zip(ids, (exact @ query / norms).tolist(), strict=True))


def vector_of(searcher: Searcher, image: str) -> NDArray[np.float32]:
    place = searcher.index.stored.ids.tolist().index(image.encode())
    return searcher.index.stored.take(np.array([place]))[0].astype(np.float32)


def test_finds_what_comparing_with_every_image_finds(demo: Searcher) -> None:
    for position in range(0, len(demo.collection), 60):
        image = demo.collection.ids[position].decode()
        cosines = cosines_of(demo, vector_of(demo, image))
        del cosines[image]
        expected = sorted(cosines.values(), reverse=True)[:15]
        result = demo.by_images([image], limit=15)
        scores = [found.score for found in result.images]
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert all(f.score == pytest.approx(cosines[f.id], abs=1e-5) for f in result.images)


def test_the_query_itself_is_left_out(demo: Searcher) -> None:
    image = demo.collection.ids[0].decode()
    everything = demo.by_images([image], limit=10**6)
    assert len(everything.images) == len(demo.collection) - 1
    assert image not in {found.id for found in everything.images}
    itself = demo.by_vector(vector_of(demo, image), "query", limit=1).images[0]
    assert itself.id == image
    assert itself.score == pytest.approx(1, abs=1e-6)
    assert itself.score <= 1


def test_scores_are_cosines_whatever_the_length(demo: Searcher) -> None:
    vector = vector_of(demo, demo.collection.ids[3].decode())
    short, long = (demo.by_vector(vector * factor, "q", limit=20) for factor in (1e-3, 1e3))
    assert [i.id for i in short.images] == [i.id for i in long.images]
    opposite = demo.by_vector(-vector, "q", limit=10**6)
    scores = [found.score for found in opposite.images]
    assert -1 <= min(scores) < -0.999
    assert max(scores) <= 1


def test_pages_follow_each_other(demo: Searcher) -> None:
    whole = [found.id for found in demo.by_tag("bird", limit=200).images]
    pages = [demo.by_tag("bird", limit=20, offset=at).images for at in range(0, 200, 20)]
    assert [found.id for page in pages for found in page] == whole
    assert demo.by_tag("bird", limit=20, offset=10**6).images == ()


def test_several_images_are_averaged(tmp_path: Path) -> None:
    vectors = [[1, 0, 0], [0, 1, 0], [0.7, 0.7, 0], [0, 0, 1]]
    searcher = searcher_of(tmp_path, vectors, [["t"]] * 4)
    result = searcher.by_images([image_id(0), image_id(1)], limit=2)
    assert [found.id for found in result.images] == [image_id(2), image_id(3)]
    assert result.query == "2 images"


def test_filters_choose_among_the_near(demo: Searcher) -> None:
    result = demo.by_tag("bird", limit=30, where=parse_query("animal -bird"))
    assert result.images
    assert all("animal" in i.tags and "bird" not in i.tags for i in result.images)
    total = len(demo.collection.select(parse_query("animal -bird")))
    everything = demo.by_tag("bird", limit=10**6, where=parse_query("animal -bird"))
    assert len(everything.images) == total
    with pytest.raises(UnknownTagError):
        demo.by_tag("bird", where=parse_query("nobodyhasthis"))


def test_one_of_a_group_of_near_duplicates_is_enough(tmp_path: Path) -> None:
    vectors = [[1, 0], [1, 0.01], [1, 0.02], [0.5, 1], [0.4, 1]]
    groups = {0: "a", 1: "a", 2: "b", 3: "c", 4: "c"}
    searcher = searcher_of(tmp_path, vectors, [["t"]] * 5, groups=groups)
    query = np.array([1, 0], np.float32)
    found = searcher.by_vector(query, "q", distinct=True).images
    assert [i.id for i in found] == [image_id(0), image_id(2), image_id(3)]
    found = searcher.by_images([image_id(1)], distinct=True).images
    assert [i.id for i in found] == [image_id(2), image_id(3)]  # nor its own group


def test_equal_images_are_ordered_by_id(tmp_path: Path) -> None:
    searcher = searcher_of(tmp_path, [[1, 0]] * 9 + [[0, 1]], [["t"]] * 10)
    found = searcher.by_vector(np.array([1, 0], np.float32), "q", limit=4).images
    assert [image.id for image in found] == [image_id(n) for n in range(4)]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_gives_as_many_as_asked_for_or_all(tmp_path: Path, limit: int) -> None:
    searcher = searcher_of(tmp_path, [[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], [["t"]] * 4)
    assert len(searcher.by_images([image_id(0)], limit=limit).images) == min(limit, 3)


def test_a_collection_of_one_image(tmp_path: Path) -> None:
    searcher = searcher_of(tmp_path, [[1, 0]], [["alone"]])
    assert searcher.by_images([image_id(0)]).images == ()
    result = searcher.by_tag("alone")
    assert [image.score for image in result.images] == [pytest.approx(1)]
    assert result.nearest_tags == ()


def test_vectors_of_nothing_but_zeros_are_no_error(tmp_path: Path) -> None:
    searcher = searcher_of(tmp_path, [[0, 0], [1, 0]], [["a"], ["b"]])
    result = searcher.by_vector(np.zeros(2, np.float32), "q")
    assert [image.score for image in result.images] == [0, 0]
    assert result.tags == ()


def test_a_tag_leads_to_its_images_and_its_kin(demo: Searcher) -> None:
    result = demo.by_tag("  BIRD ", limit=10)
    assert result.query == "bird"
    carried = sum("bird" in image.tags for image in result.images)
    assert carried >= 5
    assert result.tags[0].tag == "bird"
    near = [score.tag for score in result.nearest_tags]
    assert "animal" in near
    assert "bird" not in near
    assert all(-1 <= score.score <= 1.000001 for score in result.nearest_tags)


def test_kin_is_found_among_more_tags_than_are_compared(
    demo: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [score.tag for score in demo.by_tag("bird").nearest_tags]
    monkeypatch.setattr("tagkin.similarity.searching._TAGS_COMPARED", 10)
    few = [score.tag for score in demo.by_tag("bird").nearest_tags]
    assert len(set(few) & set(usual)) >= 8


def test_what_a_tagger_learned_finds_the_tag(demo_library: Demo) -> None:
    searcher = open_demo(demo_library)
    result = searcher.by_tag("bird", limit=20, use="learned")
    assert sum("bird" in image.tags for image in result.images) >= 15
    rare = searcher.collection.tags[-1]
    with pytest.raises(LibraryError, match="tagkin train"):
        searcher.by_tag(rare, use="learned")


def test_tags_that_are_usual_everywhere_do_not_count(tmp_path: Path) -> None:
    searcher = searcher_of(
        tmp_path,
        [[1, 0], [1, 0.1], [0, 1], [0.1, 1]],
        [["image", "cat"], ["image", "cat"], ["image"], ["image"]],
    )
    tags = searcher.by_vector(np.array([1, 0], np.float32), "q", limit=2).tags
    assert [(score.tag, score.score) for score in tags] == [("cat", pytest.approx(0.5))]


def test_an_unknown_tag_names_the_nearest_spellings(demo: Searcher) -> None:
    with pytest.raises(UnknownTagError, match="did you mean 'bird'"):
        demo.by_tag("birdd")
    with pytest.raises(UnknownTagError) as caught:
        demo.by_tag("qqqqqqqqq")
    assert "did you mean" not in str(caught.value)


def test_an_unknown_image_is_an_error(demo: Searcher) -> None:
    with pytest.raises(LibraryError, match="abc"):
        demo.by_images(["abc"])
    with pytest.raises(LibraryError, match="name an image"):
        demo.by_images([])


def test_an_image_without_a_vector_says_what_to_do(tmp_path: Path) -> None:
    rows = [row(0, "a"), row(1, "lonely")]
    library = library_of(tmp_path / "library", rows, [[1, 0]])
    searcher = Searcher.open(library, FINGERPRINT, Collection.open(library, load_settings()))
    with pytest.raises(LibraryError, match="tagkin embed"):
        searcher.by_images([image_id(1)])
    with pytest.raises(LibraryError, match="tagkin embed"):
        searcher.by_tag("lonely")


def test_images_that_have_lost_their_files_are_not_found(tmp_path: Path) -> None:
    rows = [row(0, "a"), row(1, "a"), row(2, "a")]
    library = library_of(tmp_path / "library", rows, [[1, 0], [1, 0.1], [1, 0.2]])
    library.delete_images([image_id(1)])
    searcher = Searcher.open(library, FINGERPRINT, Collection.open(library, load_settings()))
    found = searcher.by_vector(np.array([1, 0], np.float32), "q").images
    assert [i.id for i in found] == [image_id(0), image_id(2)]


def test_merges_and_implications_are_seen(tmp_path: Path) -> None:
    rows = [row(0, "Birds"), row(1, "bird"), row(2, "fish")]
    library = library_of(tmp_path / "library", rows, [[1, 0], [0.9, 0.1], [0, 1]])
    library.decide("merge", ["birds"], canonical="bird")
    library.decide("imply", ["bird", "animal"])
    searcher = Searcher.open(library, FINGERPRINT, Collection.open(library, load_settings()))
    result = searcher.by_tag("birds", limit=2)
    assert result.query == "bird"
    assert [set(image.tags) for image in result.images] == [{"bird", "animal"}] * 2
    assert searcher.collection.with_tag("animal").tolist() == [0, 1]


def test_a_library_without_vectors_says_what_to_do(demo_library: Demo) -> None:
    library = demo_library.library
    collection = Collection.open(library, demo_library.settings)
    with pytest.raises(LibraryError, match="tagkin embed"):
        Searcher.open(library, "no-such-fingerprint", collection)


def test_json(demo: Searcher) -> None:
    image = demo.collection.ids[0].decode()
    content = json.loads(json.dumps(demo.by_images([image], limit=2).to_dict()))
    assert set(content) == {"query", "images", "tags"}
    assert content["query"] == str(demo.collection.rows([0])[0].paths[0])
    expected = {"id", "paths", "score", "tags", "width", "height"}
    assert [set(found) for found in content["images"]] == [expected] * 2
    assert all(isinstance(path, str) for path in content["images"][0]["paths"])
    assert all(set(score) == {"tag", "score"} for score in content["tags"])
    assert "nearest_tags" in demo.by_tag("bird").to_dict()


def test_an_index_finds_nearly_the_same(demo_copy: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = open_demo(demo_copy)
    monkeypatch.setattr(vector_index_module, "INDEX_FROM", 100)
    library, fingerprint = demo_copy.library, demo_copy.config.fingerprint
    assert vector_index_module.keep_index(library, fingerprint).wanted
    assert not vector_index_module.keep_index(library, fingerprint).wanted
    indexed = open_demo(demo_copy)
    assert indexed.index.approximate is not None
    shares = []
    for tag in exact.collection.tags[:20]:
        one, other = (s.by_tag(tag, limit=10).images for s in (exact, indexed))
        shares.append(len({i.id for i in one} & {i.id for i in other}) / 10)
    assert np.mean(shares) >= 0.95
    where = parse_query("animal -bird")
    one, other = (
        {i.id for i in s.by_tag("bird", limit=10**4, where=where).images} for s in (exact, indexed)
    )
    assert one == other  # a filter that leaves few is searched exactly
