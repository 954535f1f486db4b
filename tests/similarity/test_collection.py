"""Images chosen by tags, folders and dates."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from helpers_search import image_id, library_of, row

from tagkin.errors import LibraryError, UnknownTagError
from tagkin.library import Library
from tagkin.settings import load_settings
from tagkin.similarity import Collection, parse_query
from tagkin.tag_edits import NewTagEdit


@pytest.fixture
def library(tmp_path: Path) -> Library:
    day = int(datetime(2024, 5, 17, 12).timestamp() * 1e9)
    year = 366 * 24 * 3600 * 10**9
    rows = [
        row(0, "cat", "Red", folder="/home/a/holidays/2024", mtime_ns=day),
        row(1, "cat", "blue", "two words", folder="/home/a/holidays", mtime_ns=day + year),
        row(2, "dog", "red", "under_score", folder="/home/a/work", mtime_ns=day - year),
        row(3, "bird", "rating:s", folder="/home/a/holidays/2024/may"),
        row(4),
    ]
    return library_of(tmp_path / "library", rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("cat", [0, 1]),
        ("CAT red", [0]),
        ("-cat", [2, 3, 4]),
        ("~dog ~bird", [2, 3]),
        ("~dog ~nobodyhasthis", [2]),
        ("red -nobodyhasthis", [0, 2]),
        ('"two words"', [1]),
        ("two_words", [1]),
        ('"under score"', [2]),
        ("b*", [1, 3]),
        ("-b* -r*", [4]),
        ("rating:s", [3]),
        ("folder:holidays", [0, 1, 3]),
        ("folder:holidays/2024", [0, 3]),
        ("folder:2024/holidays", []),
        ("folder:holiday", []),
        ("-folder:holidays", [2, 4]),
        ("date:2024-05-17", [0]),
        ("date:>2024-05", [1]),
        ("date:>=2024 date:<2025", [0]),
        ("date:<=2023", [2, 3, 4]),
    ],
)
def test_a_query_chooses(library: Library, text: str, expected: list[int]) -> None:
    collection = Collection.open(library, load_settings())
    found = collection.select(parse_query(text))
    assert [int(collection.ids[p], 16) for p in found] == expected


def test_a_tag_that_no_image_has_is_said(library: Library) -> None:
    collection = Collection.open(library, load_settings())
    with pytest.raises(UnknownTagError, match="did you mean 'bird'"):
        collection.select(parse_query("birdd"))


def test_tags_and_counts(library: Library) -> None:
    collection = Collection.open(library, load_settings())
    assert collection.tags[:2] == ("cat", "red")
    assert collection.counts.tolist() == [2, 2, 1, 1, 1, 1, 1, 1]
    assert set(collection.tags_at(1)) == {"cat", "blue", "two words"}
    assert collection.complete("r") == [("red", 2), ("rating:s", 1)]
    assert collection.complete("TWO_") == [("two words", 1)]
    assert collection.complete("", 3) == [("cat", 2), ("red", 2), ("bird", 1)]


def test_rows_come_in_the_order_asked_for(library: Library) -> None:
    collection = Collection.open(library, load_settings())
    assert [r.id for r in collection.rows([3, 0, 3])] == [image_id(3), image_id(0), image_id(3)]
    newest = collection.newest_first(np.arange(5))
    assert newest.tolist() == [1, 0, 2, 3, 4]


def test_positions(library: Library) -> None:
    collection = Collection.open(library, load_settings())
    assert collection.position(image_id(3)) == 3
    for unknown in ("abc", image_id(9), "ü", ""):
        with pytest.raises(LibraryError, match="no image"):
            collection.position(unknown)


def test_changes_are_noticed(library: Library) -> None:
    settings = load_settings()
    collection = Collection.open(library, settings)
    assert collection.is_current(library)
    for change in (
        lambda: library.upsert_images([row(9, "new")]),
        lambda: library.decide("merge", ["red"], canonical="blue"),
        lambda: library.edit_tags([NewTagEdit("add", image_id(4), "cat")]),
    ):
        change()
        assert not collection.is_current(library)
        collection = Collection.open(library, settings)
        assert collection.is_current(library)
    assert collection.with_tag("red").tolist() == [0, 1, 2]
    assert collection.with_tag("cat").tolist() == [0, 1, 4]


def test_edits_of_single_images(library: Library) -> None:
    edits = [NewTagEdit("add", image_id(4), "Dog"), NewTagEdit("remove", image_id(0), "red")]
    library.edit_tags(edits)
    collection = Collection.open(library, load_settings())
    assert collection.tags_at(4) == ("dog",)
    assert collection.tags_at(0) == ("cat",)
    assert collection.with_tag("red").tolist() == [2]


def test_an_image_whose_files_are_gone_is_left_out(library: Library) -> None:
    from dataclasses import replace

    library.upsert_images([replace(row(0, "cat"), files=())])
    collection = Collection.open(library, load_settings())
    assert len(collection) == 4
    assert [r.id for r in collection.rows([0])] == [image_id(1)]


def test_an_empty_library(tmp_path: Path) -> None:
    collection = Collection.open(Library.create_or_open(tmp_path / "new"), load_settings())
    assert len(collection) == 0
    assert collection.select(parse_query("-a")).tolist() == []
    assert collection.tags == ()
    assert collection.rows([]) == []


def test_the_same_as_looking_at_every_row(demo_library: Demo) -> None:
    settings = demo_library.settings
    collection = Collection.open(demo_library.library, settings)
    rows = [r for r in demo_library.library.images() if r.files]
    assert [r.id for r in rows] == [i.decode() for i in collection.ids.tolist()]
    for position, r in enumerate(rows):
        assert set(collection.tags_at(position)) == set(collection.rules.wanted(r.tags))
    assert collection.rows(range(len(rows))) == rows
    shown = collection.pictures(range(len(rows)))
    assert [(p.id, p.paths, p.width, p.height) for p in shown] == [
        (r.id, r.paths, r.width, r.height) for r in rows
    ]
    for tag in collection.tags[::25]:
        carrying = [n for n, r in enumerate(rows) if tag in collection.rules.wanted(r.tags)]
        assert collection.with_tag(tag).tolist() == carrying
