"""What is learned from: rows, vectors and labels of one library, and what can be missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo

from tagkin.chosen_rows import StoredRows
from tagkin.errors import LibraryError, TaggerError, VocabularyError
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.training.fit import fit_on
from tagkin.training.judged import judge
from tagkin.training.learning_set import LearningSet

FINGERPRINT = "0123456789ab"

ROWS = (
    ("0.9|0.4", "cat|garden", "train"),
    ("", "cat", "train"),
    ("0|1", "cat|garden", "train"),  # a weight of 0: the tag isn't there
    ("0.5|0.25|0.75", "dog|Cat|cat", "validation"),
    ("", "dog|rare", "validation"),
    ("", "dog|garden", "test"),
)


@pytest.fixture
def settings(demo_images: list[Path], lite0_settings: Settings) -> Settings:
    return lite0_settings.model_copy(update={"min_tag_occurrences": 2})


def make(
    folder: Path,
    images: list[Path],
    settings: Settings,
    rows: tuple[tuple[str, str, str], ...] = ROWS,
    with_vectors: bool = True,
) -> Library:
    lines = ["file,tags,weights,split"]
    for number, (weights, tags, split) in enumerate(rows):
        shutil.copy(images[number * 20], folder / f"{number}.webp")
        lines.append(f"{number}.webp,{tags},{weights},{split}")
    (folder / "table.csv").write_text("\n".join(lines), "utf-8")
    library = Library.create_or_open(folder / "library")
    prepare(library, open_source(folder / "table.csv", separator="|"), settings)
    if with_vectors:
        ids = [row.id for row in library.images()]
        values = np.arange(len(ids) * 4, dtype=np.float32).reshape(len(ids), 4)
        library.add_vectors(FINGERPRINT, ids, values)
    return library


def names_of(library: Library, data: LearningSet) -> list[str]:
    stems = {row.id: row.paths[0].stem for row in library.images()}
    return [stems[image.decode()] for image in data.images.ids]


def test_weights_arrive_in_the_labels(
    settings: Settings, demo_images: list[Path], tmp_path: Path
) -> None:
    library = make(tmp_path, demo_images, settings)
    data = LearningSet.read(library, FINGERPRINT, settings)
    assert set(data.vocabulary.tags) == {"cat", "dog", "garden"}
    labels = data.labels.toarray()
    found = {
        name: {
            tag: round(float(labels[place, column]), 3)
            for tag, column in data.vocabulary.index.items()
            if labels[place, column]
        }
        for place, name in enumerate(names_of(library, data))
    }
    assert found == {
        "0": {"cat": 0.9, "garden": 0.4},
        "1": {"cat": 1.0},
        "2": {"garden": 1.0},
        "3": {"dog": 0.5, "cat": 0.75},  # of both spellings the greater
        "4": {"dog": 1.0},
        "5": {"dog": 1.0, "garden": 1.0},
    }
    assert data.labels.dtype == np.float32
    assert data.labels.nnz == 9  # nothing is stored where a tag isn't there


def test_splits_rows_and_vectors_belong_together(
    settings: Settings, demo_images: list[Path], tmp_path: Path
) -> None:
    library = make(tmp_path, demo_images, settings)
    data = LearningSet.read(library, FINGERPRINT, settings)
    ids, vectors = library.vectors(FINGERPRINT)
    stored = dict(zip(ids, vectors.tolist(), strict=True))
    assert [stored[image.decode()] for image in data.images.ids] == data.vectors.tolist()
    for split, names in (("train", "012"), ("validation", "34"), ("test", "5")):
        places = data.parts[split]
        assert {names_of(library, data)[place] for place in places} == set(names)
        np.testing.assert_array_equal(data.vectors_of(split), data.vectors[places])
        np.testing.assert_array_equal(
            data.labels_of(split).toarray(), data.labels.toarray()[places]
        )
    counts = data.counts()
    column = data.vocabulary.index
    assert [counts["train"][column[tag]] for tag in ("cat", "garden", "dog")] == [2, 2, 0]
    assert [counts["validation"][column[tag]] for tag in ("cat", "dog")] == [1, 2]


def test_images_without_a_vector_are_left_out(
    settings: Settings, demo_images: list[Path], tmp_path: Path
) -> None:
    library = make(tmp_path, demo_images, settings, with_vectors=False)
    some = [row.id for row in library.images() if row.paths[0].stem in "034"]
    library.add_vectors(FINGERPRINT, some, np.ones((3, 4), np.float32))
    data = LearningSet.read(library, FINGERPRINT, settings)
    assert [image.decode() for image in data.images.ids] == sorted(some)
    assert data.vectors.shape == (3, 4)
    assert not len(data.parts["test"])


def test_what_is_missing_is_named(
    settings: Settings, demo_images: list[Path], tmp_path: Path
) -> None:
    library = make(tmp_path, demo_images, settings)
    with pytest.raises(LibraryError, match="tagkin embed"):
        LearningSet.read(library, "ba9876543210", settings)
    with pytest.raises(VocabularyError, match=r"on 7 images or more.*is on 3\)"):
        many = settings.model_copy(update={"min_tag_occurrences": 7})
        LearningSet.read(library, FINGERPRINT, many)
    library.update_state(prepared=False)
    with pytest.raises(LibraryError, match="did not finish"):
        LearningSet.read(library, FINGERPRINT, settings)


@pytest.mark.parametrize(("missing", "there"), [("train", "validation"), ("validation", "train")])
def test_a_split_without_a_known_tag_is_named(
    missing: str, there: str, settings: Settings, demo_images: list[Path], tmp_path: Path
) -> None:
    rows = (*(("", "cat", there),) * 3, ("", "unknown", missing))
    library = make(tmp_path, demo_images, settings, rows)
    with pytest.raises(TaggerError, match=f"no image with a known tag is in the {missing} split"):
        LearningSet.read(library, FINGERPRINT, settings)


def test_more_vectors_than_memory_may_hold_stay_on_disk(
    demo_library: Demo, lite0_settings: Settings
) -> None:
    settings = lite0_settings.model_copy(update={"max_epochs": 8})
    little = settings.model_copy(update={"max_vector_memory": 0.0})
    library, fingerprint = demo_library.library, demo_library.config.fingerprint
    held = LearningSet.read(library, fingerprint, settings)
    streamed = LearningSet.read(library, fingerprint, little)
    assert isinstance(streamed.vectors, StoredRows)
    np.testing.assert_array_equal(streamed.vectors_of("test"), held.vectors_of("test"))
    np.testing.assert_array_equal(streamed.labels.toarray(), held.labels.toarray())
    scores = [
        judge(fit_on(data, settings).head, data, settings).scores()["validation"].map
        for data in (held, streamed)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.04)
