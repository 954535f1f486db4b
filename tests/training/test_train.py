"""Training on a library: the report, the names of taggers, and what can be missing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo

from tagkin.backbones import cached_graph
from tagkin.embeddings import embed
from tagkin.errors import LibraryError, TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.tagger import Tagger
from tagkin.training.train import TrainReport, train


def train_again(demo: Demo, **changes: object) -> TrainReport:
    settings = demo.settings.model_copy(update={"max_epochs": 3, **changes})
    graph = cached_graph(demo.config, settings.cache_dir)
    return train(demo.library, demo.config, graph, settings)


def test_learns_the_demo_collection(demo_library: Demo) -> None:
    report = demo_library.report
    assert report is not None
    assert report.tagger == "efficientnet-lite0-001"
    assert report.fingerprint == demo_library.config.fingerprint
    assert report.validation.map > 0.3
    assert report.test is not None
    assert report.test.map > 0.3  # a tag is on 3 % of the images: chance is near 0.03
    assert report.tags == len(Tagger.load(demo_library.tagger).tags)
    rows = [row for row in demo_library.library.images() if row.files]
    assert sum(report.images.values()) == len(rows)
    assert 1 <= report.kept.best_epoch <= len(report.kept.history)
    assert report.phase == 1
    assert report.page.is_file()
    assert json.loads(json.dumps(report.to_dict()))["validation"]["map"] == report.validation.map


def test_the_tagger_remembers_its_scores(demo_library: Demo) -> None:
    assert demo_library.report is not None
    scores = Tagger.load(demo_library.tagger).scores
    assert scores["validation"] == demo_library.report.validation.to_dict()
    assert "test" in scores


def test_each_training_makes_a_new_tagger(demo_copy: Demo) -> None:
    before = (demo_copy.tagger / "head.npz").read_bytes()
    first, second = train_again(demo_copy), train_again(demo_copy)
    assert [first.tagger, second.tagger] == ["efficientnet-lite0-002", "efficientnet-lite0-003"]
    assert (demo_copy.tagger / "head.npz").read_bytes() == before
    kernels = [
        Tagger.load(demo_copy.library.taggers_path / report.tagger).head.kernel
        for report in (first, second)
    ]
    np.testing.assert_array_equal(*kernels)
    assert [p for p in demo_copy.library.taggers_path.iterdir() if p.name.startswith(".")] == []


def test_accepted_merges_are_one_tag(demo_copy: Demo) -> None:
    tags = Tagger.load(demo_copy.tagger).tags
    assert {"bird", "animal"} <= set(tags)
    demo_copy.library.decide("merge", ["animal", "bird"], canonical="bird")
    report = train_again(demo_copy)
    merged = Tagger.load(demo_copy.library.taggers_path / report.tagger).tags
    assert "bird" in merged
    assert "animal" not in merged
    assert report.tags == len(tags) - 1


def test_no_frequent_tag_says_which_option_to_lower(demo_copy: Demo) -> None:
    with pytest.raises(VocabularyError, match="--min-tag-occurrences"):
        train_again(demo_copy, min_tag_occurrences=100_000)


def test_a_library_without_vectors_says_so(demo_copy: Demo) -> None:
    for vectors in demo_copy.path.glob("vectors-*"):
        shutil.rmtree(vectors)
    with pytest.raises(LibraryError, match="tagkin embed"):
        train_again(demo_copy)


def test_an_unfinished_prepare_says_so(demo_copy: Demo) -> None:
    demo_copy.library.update_state(prepared=False)
    with pytest.raises(LibraryError, match="tagkin prepare"):
        train_again(demo_copy)


def test_a_collection_of_one_image_says_that_it_is_too_small(
    demo_library: Demo, demo_images: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(demo_images[0], folder / "one.webp")
    (folder / "one.txt").write_text("alone, tag", "utf-8")
    settings: Settings = demo_library.settings.model_copy(update={"min_tag_occurrences": 1})
    library = Library.create_or_open(tmp_path / "library")
    prepare(library, open_source(folder), settings)
    embed(library, demo_library.config, settings)
    with pytest.raises(TaggerError, match="too small"):
        train(library, demo_library.config, Path("never-used.xml"), settings)


def test_rarely_trained_tags_are_named(demo_copy: Demo) -> None:
    report = train_again(demo_copy, min_tag_occurrences=1)
    assert report.few_training_images
    assert set(report.few_training_images) < set(
        Tagger.load(demo_copy.library.taggers_path / report.tagger).tags
    )
