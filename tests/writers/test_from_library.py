"""What a library gives away: its tags through decisions and edits, for files that are there."""

from pathlib import Path

import pytest

from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.tag_edits import NewTagEdit
from tagkin.vocabulary import TagRules
from tagkin.writers.from_library import LibraryTags
from tagkin.writers.tagged import TaggedImage

ONE, TWO = "1" * 32, "2" * 32


def row(image: str, *files: ImageFile) -> ImageRow:
    return ImageRow(image, files, 8, 6, "png", 1, 0)


def file(
    name: str, *tags: str, weights: tuple[float, ...] = (), missing: bool = False
) -> ImageFile:
    return ImageFile(Path("/pics") / name, tags, 1, 1, weights, missing=missing)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create_or_open(tmp_path / "library")
    library.update_state(prepared=True)
    rows = [
        row(ONE, file("b.png", "Programm", "Cat", "repost"), file("a.png", "cat", missing=True)),
        row(TWO, file("0.png", "dog", "x", weights=(0.5, 1.0)), file("z.png")),
        row("3" * 32),
    ]
    library.upsert_images(rows)
    library.decide("merge", ["programm", "pr0gramm"], canonical="pr0gramm")
    library.decide("imply", ["cat", "animal"])
    return library


def given(library: Library, **options: object) -> dict[str, TaggedImage]:
    rules = TagRules(
        merges={"programm": "pr0gramm"}, exclude=["repost"], implications=[("cat", "animal")]
    )
    images = LibraryTags(rules, **options).images(library)  # type: ignore[arg-type]
    assert [image.path for image in images] == sorted(image.path for image in images)
    return {image.path.name: image for image in images}


def test_tags_are_as_rules_and_decisions_have_them(library: Library) -> None:
    found = given(library)
    assert list(found) == ["0.png", "b.png", "z.png"]  # not those that are missing
    assert found["b.png"].tags == {"pr0gramm": 1.0, "cat": 1.0, "animal": 1.0}
    assert found["0.png"].tags == found["z.png"].tags == {"dog": 0.5, "x": 1.0}
    assert found["0.png"].size == (8, 6)
    assert {image.unwanted for image in found.values()} == {frozenset()}


def test_raw_tags_are_as_they_were_read(library: Library) -> None:
    found = given(library, raw=True)
    assert found["b.png"].tags == {"Programm": 1.0, "Cat": 1.0, "repost": 1.0} | {"cat": 1.0}
    assert found["0.png"].tags == {"dog": 0.5, "x": 1.0}


def test_old_names_are_unwanted_if_asked(library: Library) -> None:
    assert given(library, drop_old_names=True)["b.png"].unwanted == {"programm"}


def test_edits_of_single_images_are_seen(library: Library) -> None:
    library.edit_tags(
        [
            NewTagEdit("remove", ONE, "programm"),
            NewTagEdit("add", ONE, "Bird"),
            NewTagEdit("remove", TWO, "dog"),
        ]
    )
    found = given(library)
    assert found["b.png"].tags == {"cat": 1.0, "bird": 1.0, "animal": 1.0}
    assert found["b.png"].unwanted == {"programm", "pr0gramm"}
    assert found["0.png"].tags == {"x": 1.0}
    assert found["0.png"].unwanted == {"dog"}
    assert "Bird" in given(library, raw=True)["b.png"].tags


def test_predictions_come_behind_and_put_nothing_back(library: Library) -> None:
    library.edit_tags([NewTagEdit("remove", TWO, "dog")])

    def more(image: str) -> dict[str, float]:
        return {"dog": 0.9, "x": 0.2, "new": 0.7} if image == TWO else {}

    assert given(library, more=more)["0.png"].tags == {"x": 1.0, "new": 0.7}
    only = given(library, own=False, more=more)
    assert only["0.png"].tags == {"x": 0.2, "new": 0.7}
    assert only["b.png"].tags == {}
