"""Tags that seem to be missing from images, or wrong on them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Demo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tagkin.backbones import BackboneConfig
from tagkin.head import Head
from tagkin.neighbours import Neighbours
from tagkin.suspects import find_suspects
from tagkin.tagger import Tagger
from tagkin.vocabulary import TagRules

TAGS = ("cat", "dog", "owl")


@pytest.fixture
def tagger(lite0_config: BackboneConfig) -> Tagger:
    """Sure of a tag where the vector points that way."""
    return Tagger(
        config=lite0_config,
        graph=Path("unused.xml"),
        head=Head(np.eye(3, dtype=np.float32) * 4, np.full(3, -2, np.float32)),
        tags=TAGS,
        thresholds=np.array([0.5, 0.5, 0.2], np.float32),
    )


def blocks(vectors: Sequence[Sequence[float]]) -> Iterator[tuple[list[str], NDArray[Any]]]:
    for number, vector in enumerate(vectors):
        yield [f"{number:032}"], np.array([vector], np.float16)


def found(
    tagger: Tagger, vectors: Sequence[Sequence[float]], tags: Sequence[Sequence[str]], **more: Any
) -> list[tuple[int, str, str]]:
    suspects = find_suspects(tagger, blocks(vectors), lambda image: tags[int(image)], **more)
    for one in suspects:
        assert (one.margin > 0) == (one.kind == "missing") == (one.score > one.threshold)
    strengths = [abs(one.margin) for one in suspects]
    assert strengths == sorted(strengths, reverse=True)
    return [(int(one.image), one.tag, one.kind) for one in suspects]


def test_missing_and_wrong_tags_the_surest_first(tagger: Tagger) -> None:
    vectors = [(1, 0, 0), (2, 0, 0), (0, 1, 0), (0, -1, 0)]
    tags = [["cat"], [], ["dog", "cat"], ["dog", "unknown"]]
    assert found(tagger, vectors, tags) == [
        (1, "cat", "missing"),
        (3, "dog", "wrong"),
        (2, "cat", "wrong"),
    ]


def test_excluded_tags_are_never_missing(tagger: Tagger) -> None:
    assert found(tagger, [(2, 0, 0)], [[]], excluded=["cat"]) == []


def test_tags_that_have_become_one_speak_with_one_voice(tagger: Tagger) -> None:
    seen = tagger.seen_through(TagRules(merges={"dog": "cat"}))
    # Whether either output is sure is enough, so that the tag isn't wrong on a dog.
    assert found(seen, [(0, 1, 0), (0, 2, 0)], [["cat"], []]) == [(1, "cat", "missing")]


def test_an_image_that_is_remembered_does_not_speak_for_itself(tagger: Tagger) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 3)).astype(np.float16)
    vectors[1:20] = vectors[0] + generator.normal(size=(19, 3)) * 0.05
    labels = csr_array(np.repeat(np.array([[0, 1, 0]], np.float32), 40, axis=0))
    dense = labels.toarray()
    dense[0] = [1, 0, 0]  # the one of its neighbours that is called otherwise
    near = replace(Neighbours.of(vectors, csr_array(dense)), weight=1.0)
    flat = replace(tagger, head=Head(np.zeros((3, 3), np.float32), np.full(3, 2.0, np.float32)))
    logits = near.logits(vectors[:1])[0]
    alone = near.logits(vectors[:1], without_itself=True)[0]
    assert logits[0] > alone[0] and alone[1] > logits[1]
    suspects = found(
        replace(flat, neighbours=near),
        [tuple(vector) for vector in vectors[:1].tolist()],
        [["cat"]],
    )
    assert suspects == [(0, "dog", "missing")]  # but for itself nobody near is a cat


def test_a_tag_that_the_tagger_does_not_know_is_not_called_wrong(tagger: Tagger) -> None:
    # Of four owls it finds one, of two dogs one.
    vectors = [(0, 0, 1), (0, 0, -1), (0, 0, -1), (0, 0, -1), (0, 1, 0), (0, -1, 0)]
    tags = [["owl"]] * 4 + [["dog"]] * 2
    assert found(tagger, vectors, tags) == [(5, "dog", "wrong")]


def test_so_many_of_each_tag_the_strongest(tagger: Tagger) -> None:
    vectors = [(1 + n / 1000, 0, 0) for n in range(300)]
    suspects = found(tagger, vectors, [[]] * 300)
    assert [image for image, _, _ in suspects] == list(range(299, 199, -1))


def test_on_a_real_tagger_the_best_are_plausible(demo_library: Demo) -> None:
    library, settings = demo_library.library, demo_library.settings
    tagger = Tagger.load(demo_library.tagger)
    rules = TagRules.from_settings(settings)
    rows, vectors = library.embedded_images(demo_library.config.fingerprint)
    tags = {one.id: rules.wanted(one.tags) for one in rows}
    steps: list[int] = []
    # A tag is taken off ten images of which the tagger is sure: they are found again.
    scores = {one.id: dict_of(tagger, vectors[n]) for n, one in enumerate(rows)}
    sure = [
        (image, tag)
        for image, carried in tags.items()
        for tag in carried
        if tag in scores[image] and scores[image][tag] > 0.9
    ][:10]
    hidden = {image: tuple(t for t in tags[image] if (image, t) not in sure) for image in tags}
    suspects = find_suspects(
        tagger, [([one.id for one in rows], vectors)], hidden.__getitem__, seen=steps.append
    )
    missing = [(one.image, one.tag) for one in suspects if one.kind == "missing"]
    assert sum(pair in missing for pair in sure) >= 8
    assert sum(steps) == len(rows)


def dict_of(tagger: Tagger, vector: NDArray[Any]) -> dict[str, float]:
    every = tagger.tags_for(vector.astype(np.float32), top=len(tagger.tags), without_itself=True)
    return {one.tag: one.score for one in every}
