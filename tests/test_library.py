"""The library on disk: nothing is lost, nothing is doubled, and its errors say what to do."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin import lance_table
from tagkin.decisions import NewDecision, accepted_merges
from tagkin.errors import LibraryError
from tagkin.files import atomic_file
from tagkin.library import Library, LibraryState
from tagkin.records import ID_TYPE, ImageFile, ImageRow, Problem

AWKWARD_PATHS = [
    Path(os.fsdecode(b"/p/not utf-8 \xff\xfe.jpg")),
    Path("/p/🐈 猫.png"),
    Path("/p/quote\"s' and, commas; #1 100%41.png"),
    Path("/p/new\nline\t.png"),
]


def image(number: int, *paths: Path, tags: tuple[str, ...] = (), phash: int = 0) -> ImageRow:
    files = tuple(ImageFile(path, tags, 10, 123_456_789_000_000_001) for path in paths)
    return ImageRow(f"{number:032x}", files, 4, 3, "png", 1, phash)


def vectors(*values: float, dimension: int = 8) -> np.ndarray:
    return np.repeat(np.array(values, np.float32)[:, None], dimension, axis=1)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


# Making and opening


def test_a_new_library_is_empty(library: Library) -> None:
    opened = Library.open(library.path)
    assert opened.state == LibraryState()
    assert (opened.images(), opened.problems(), opened.decisions()) == ([], [], [])
    assert opened.vector_ids("f") == set()
    ids, stored = opened.vectors("f")
    assert (ids, stored.shape, stored.dtype) == ([], (0, 0), np.float16)
    with pytest.raises(LibraryError, match="tagkin embed"):
        opened.embedded_images("f")


def test_a_missing_library_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"tagkin prepare SOURCE .*--library .*TAGKIN_LIBRARY"):
        Library.open(tmp_path / "none")


def test_folders_above_are_made(tmp_path: Path) -> None:
    assert Library.create_or_open(tmp_path / "a" / "b" / "c").path.is_dir()


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert Library.create_or_open(tmp_path).images() == []


@pytest.mark.parametrize("name", ["holiday.jpg", ".hidden", "lance"])
def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(LibraryError, match=f"not a Tagkin library.*{name}.*--library"):
        Library.create_or_open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="is a file"):
        Library.create_or_open(tmp_path / "file")
    with pytest.raises(LibraryError, match="can't make a library"):
        Library.create_or_open(tmp_path / "file" / "library")


def test_the_library_of_a_newer_tagkin_is_refused(library: Library) -> None:
    newer = {"schema_version": 5, "something": "new"}
    (library.path / "library.json").write_text(json.dumps(newer))
    for open_it in (Library.open, Library.create_or_open):
        with pytest.raises(LibraryError, match=r"schema 5.*reads schema 4.*install the version"):
            open_it(library.path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe",
        b'{"prepared": true}',
        b'{"schema_version": 4, "unheard_of": 1}',
        b'{"schema_version": 4, "remembered": 5}',
        b'{"schema_version": 4, "sample": 5}',
        b'{"schema_version": 1, "sample": 5}',
    ],
)
def test_a_damaged_state_file_says_what_to_do_and_that_works(
    library: Library, content: bytes
) -> None:
    library.upsert_images([image(1)])
    state_file = library.path / "library.json"
    state_file.write_bytes(content)
    with pytest.raises(LibraryError, match=r"damaged.*delete that one file"):
        Library.open(library.path)
    state_file.unlink()
    assert len(Library.create_or_open(library.path).images()) == 1


@pytest.mark.parametrize("name", ["my library #1", "100%41", "a?b=c", "ü 🐈", "q'\"uote", "s3:"])
def test_the_folder_may_have_an_awkward_name(tmp_path: Path, name: str) -> None:
    library = Library.create_or_open(tmp_path / name)
    library.upsert_images([image(1)])
    library.upsert_images([image(1), image(2)])
    assert len(Library.open(tmp_path / name).images()) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Library.create_or_open(Path("library")).upsert_images([image(1)])
    assert len(Library.open(tmp_path / "library").images()) == 1


def test_a_read_only_folder(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    for folder in (library.path, tmp_path):
        folder.chmod(0o555)
    try:
        if os.access(library.path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(LibraryError, match="permission"):
            library.upsert_images([image(1)])
        with pytest.raises(LibraryError, match="can't write"):
            library.update_state(prepared=True)
        with pytest.raises(LibraryError, match="can't make a library"):
            Library.create_or_open(tmp_path / "other")
    finally:
        for folder in (tmp_path, library.path):
            folder.chmod(0o755)


# Libraries of earlier versions


_FILE_1 = pa.struct(
    [
        ("path", pa.binary()),
        ("tags", pa.list_(pa.string())),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
    ]
)
IMAGES_1 = pa.schema(
    [
        ("id", pa.string()),
        ("files", pa.list_(_FILE_1)),
        ("tags", pa.list_(pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("frames", pa.int32()),
        ("phash", pa.uint64()),
        ("group", pa.string()),
        ("split", pa.string()),
    ]
)
ROWS_1 = [
    image(1, *AWKWARD_PATHS, tags=("Cat", "a, b", "🐈"), phash=2**64 - 1),
    image(2),
    replace(image(3, Path("/p/x"), Path("/p/y")), group="g", split="test"),
]


def library_of_schema_1(folder: Path, rows: list[ImageRow]) -> Path:
    folder.mkdir()
    state = {"active_backbone": None, "remembered": {"seed": 3}, "prepared": True, "sample": []}
    (folder / "library.json").write_text(json.dumps({"schema_version": 1, **state}))
    stored = []
    for row in rows:
        files = [{**file.__dict__, "path": os.fsencode(file.path)} for file in row.files]
        for file in files:
            for added in ("weights", "source", "missing"):
                del file[added]
        content = {name: value for name, value in row.__dict__.items() if name != "truncated"}
        stored.append({**content, "files": files, "tags": row.tags})
    lance.write_dataset(pa.Table.from_pylist(stored, IMAGES_1), str(folder / "images.lance"))
    return folder


def state_version(folder: Path) -> int:
    version = json.loads((folder / "library.json").read_text())["schema_version"]
    assert isinstance(version, int)
    return version


def weigh_first_image(library: Library) -> None:
    """Stores weights, which the old schema has no place for."""
    first, *_ = library.images()
    files = tuple(file.with_tags({"cat": 0.5}) for file in first.files)
    library.upsert_images([replace(first, files=files)])
    assert library.images()[0].weights == {"cat": 0.5}


def test_a_library_of_schema_1_is_upgraded_where_it_is(tmp_path: Path) -> None:
    folder = library_of_schema_1(tmp_path / "old", ROWS_1)
    library = Library.open(folder)
    assert library.images() == ROWS_1
    assert library.state == LibraryState(remembered={"seed": 3}, prepared=True)
    assert state_version(folder) == 4
    weigh_first_image(Library.open(folder))


def test_an_empty_library_of_schema_1_is_upgraded(tmp_path: Path) -> None:
    folder = library_of_schema_1(tmp_path / "old", [])
    assert Library.open(folder).images() == []
    shutil.rmtree(folder / "images.lance")
    (folder / "library.json").write_text('{"schema_version": 1}')
    library = Library.open(folder)
    library.upsert_images([image(1)])
    assert (state_version(folder), len(library.images())) == (4, 1)


@pytest.mark.parametrize("before", ["lance_table.LanceTable.replace", "library.write_state"])
def test_an_upgrade_that_is_killed_is_finished_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    folder = library_of_schema_1(tmp_path / "old", ROWS_1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"tagkin.{before}", killed)
        with pytest.raises(KeyboardInterrupt):
            Library.open(folder)
    assert state_version(folder) == 1
    assert Library.open(folder).images() == ROWS_1
    assert state_version(folder) == 4
    weigh_first_image(Library.open(folder))


def test_old_tables_without_their_state_file_are_upgraded(tmp_path: Path) -> None:
    folder = library_of_schema_1(tmp_path / "old", ROWS_1)
    (folder / "library.json").unlink()
    library = Library.create_or_open(folder)
    assert library.images() == ROWS_1
    weigh_first_image(library)


def test_many_images_are_upgraded(tmp_path: Path) -> None:
    rows = [
        image(n, *[Path(f"/p/{n} {c}") for c in range(n % 3)], tags=("x",)) for n in range(5000)
    ]
    assert Library.open(library_of_schema_1(tmp_path / "old", rows)).images() == rows


DECISIONS_2 = pa.schema(
    [
        ("number", pa.int64()),
        ("kind", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("canonical", pa.string()),
        ("undoes", pa.int64()),
        ("when", pa.string()),
        ("who", pa.string()),
        ("evidence", pa.string()),
    ]
)


def library_of_schema_2(folder: Path) -> Path:
    Library.create_or_open(folder).upsert_images(ROWS_1)
    state = json.loads((folder / "library.json").read_text()) | {"schema_version": 2}
    (folder / "library.json").write_text(json.dumps(state))
    when = "2024-05-06T07:08:09+00:00"
    for row in [
        (1, "merge", ["cats", "cat"], "cat", None, when, "owner", 'spelled alike, "🐈"'),
        (2, "reject", ["cat", "dog"], None, None, when, "owner", ""),
        (3, "undo", [], None, 2, when, "somebody", ""),
    ]:  # one append each, as they were decided
        rows = [dict(zip(DECISIONS_2.names, row, strict=True))]
        table = pa.Table.from_pylist(rows, DECISIONS_2)
        lance.write_dataset(table, str(folder / "decisions.lance"), mode="append")
    return folder


def test_the_decisions_of_schema_2_are_kept(tmp_path: Path) -> None:
    folder = library_of_schema_2(tmp_path / "old")
    library = Library.open(folder)
    assert state_version(folder) == 4
    assert library.images() == ROWS_1
    first, second, third = library.decisions()
    assert (first.number, first.kind, first.tags, first.canonical) == (
        *(1, "merge", ("cats", "cat"), "cat"),
    )
    assert (first.evidence, first.who, first.probability) == (
        *('spelled alike, "🐈"', "owner", None),
    )
    assert (second.number, third.undoes) == (2, 2)
    fourth = library.decide("reject", ["a", "b"], probability=0.25)
    assert Library.open(folder).decisions() == [first, second, third, fourth]
    assert (fourth.number, fourth.probability) == (4, 0.25)


def test_an_upgrade_of_decisions_that_is_killed_is_finished_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = library_of_schema_2(tmp_path / "old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # between the new column and the old one
        patch.setattr(lance.LanceDataset, "drop_columns", killed)
        with pytest.raises(KeyboardInterrupt):
            Library.open(folder)
    assert state_version(folder) == 2
    assert [one.number for one in Library.open(folder).decisions()] == [1, 2, 3]
    assert state_version(folder) == 4


# State


def test_the_state_is_kept(library: Library) -> None:
    remembered = {"exclude_tags": ["a, b", "ü"], "aliases": {"x": "y"}, "min_tag_occurrences": 3}
    library.update_state(prepared=True, remembered=remembered)
    library.update_state(active_backbone={"architecture": "tiny"})
    state = Library.open(library.path).state
    assert state == LibraryState({"architecture": "tiny"}, remembered, True)


def test_a_failed_change_of_state_leaves_the_old_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError("no space left on device")

    library.update_state(prepared=True)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(LibraryError, match="no space left"):
        library.update_state(prepared=False)
    assert library.state.prepared
    assert Library.open(library.path).state.prepared
    names = sorted(path.name for path in library.path.iterdir())
    assert names == [".lock-state", "library.json"]


def test_an_atomic_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with pytest.raises(ZeroDivisionError), atomic_file(target) as file:
        file.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with atomic_file(target) as file:
        file.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


# Images


def test_images_come_back_as_they_were(library: Library) -> None:
    rows = [
        image(3, *AWKWARD_PATHS, tags=("Ü, 🐈", 'qu"ote', "x", "a\nb"), phash=2**64 - 1),
        image(1, Path("/p/a.jpg"), phash=2**63),
        ImageRow("f" * 32, (), 70_000, 1, "gif", 99, 0, "g", "validation"),
    ]
    library.upsert_images(rows)
    assert Library.open(library.path).images() == sorted(rows, key=lambda row: row.id)


def test_weights_come_back_as_they_were(library: Library) -> None:
    file = ImageFile(Path("a"), (), 1, 1).with_tags({"x": 0.1, "y": 1.0, "z": 1 / 3})
    row = ImageRow("0" * 32, (file, ImageFile(Path("b"), ("x",), 1, 1)), 1, 1, "png", 1, 0)
    library.upsert_images([row])
    assert library.images() == [row]
    assert row.weights == {"z": pytest.approx(1 / 3)}


def test_an_image_has_the_tags_of_all_its_files() -> None:
    files = (ImageFile(Path("a"), ("x", "y"), 1, 1), ImageFile(Path("b"), ("z", "x"), 1, 1))
    row = ImageRow("0" * 32, files, 1, 1, "png", 1, 0)
    assert row.tags == ("x", "y", "z")
    assert row.paths == (Path("a"), Path("b"))


def test_upsert_replaces_and_adds(library: Library) -> None:
    library.upsert_images([image(1, tags=("old",)), image(2)])
    library.upsert_images([image(3), image(1, Path("/new"), tags=("new",))])
    library.upsert_images([])
    assert library.images() == [image(1, Path("/new"), tags=("new",)), image(2), image(3)]


# Images by their ids


def as_ids(*numbers: int) -> np.ndarray:
    return np.array([f"{number:032x}" for number in numbers], ID_TYPE)


def test_an_empty_library_has_no_ids(library: Library) -> None:
    for ids in (library.image_ids(), library.without_vector(library.image_ids(), "f")):
        assert (ids.shape, ids.dtype) == ((0,), np.dtype("S32"))
    assert list(library.iter_images(library.image_ids())) == []
    assert list(library.iter_images(as_ids(1))) == []
    assert library.sample_ids() == []


def test_ids_are_those_of_images_with_a_file_in_order(library: Library) -> None:
    library.upsert_images([image(3, Path("/c")), image(1, Path("/a"), Path("/copy"))])
    library.upsert_images([image(2), image(0xFFF, Path("/f"))])
    ids = library.image_ids()
    assert ids.dtype == np.dtype("S32")
    assert ids.tolist() == as_ids(1, 3, 0xFFF).tolist()
    library.upsert_images([image(3)])  # its file is gone
    assert library.image_ids().tolist() == as_ids(1, 0xFFF).tolist()
    library.upsert_images([image(1), image(0xFFF)])
    assert library.image_ids().tolist() == []


def test_images_come_by_their_ids_as_they_were(library: Library) -> None:
    rows = [
        image(3, *AWKWARD_PATHS, tags=("Ü, 🐈", 'qu"ote'), phash=2**64 - 1),
        image(1, Path("/p/a.jpg"), phash=2**63),
        image(2),
        ImageRow("f" * 32, (), 70_000, 1, "gif", 99, 0, "g", "validation"),
    ]
    library.upsert_images(rows)
    found = list(library.iter_images(library.image_ids()))
    assert sorted(found, key=lambda row: row.id) == [rows[1], rows[0]]
    assert list(library.iter_images(as_ids(2))) == [rows[2]]
    assert list(library.iter_images(as_ids(7, 8))) == []
    assert list(library.iter_images(as_ids())) == []


@pytest.mark.parametrize("wanted", [1, 100, 1000])  # looked up one by one, or sifted
def test_the_wanted_images_come_however_many(library: Library, wanted: int) -> None:
    library.upsert_images([image(number, Path(f"/{number}")) for number in range(1500)])
    numbers = sorted(random.Random(0).sample(range(3000), wanted))
    found = list(library.iter_images(as_ids(*numbers)))
    expected = [image(number, Path(f"/{number}")) for number in numbers if number < 1500]
    assert sorted(found, key=lambda row: row.id) == expected


def test_images_come_in_little_memory(library: Library) -> None:
    library.upsert_images([image(number, Path(f"/{number}")) for number in range(5000)])
    ids = library.image_ids()
    for _ in library.iter_images(ids):  # pathlib interns parts of paths, in a table that may grow
        pass

    def peak(stream: bool) -> int:
        tracemalloc.start()
        count = sum(1 for _ in (library.iter_images(ids) if stream else library.images()))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 5000
        return most

    assert peak(stream=True) < peak(stream=False) / 3


def test_images_without_a_vector_of_this_backbone_are_found(library: Library) -> None:
    ids = as_ids(1, 2, 3, 5)
    assert library.without_vector(ids, "f").tolist() == ids.tolist()
    library.add_vectors("f", [f"{n:032x}" for n in (5, 2, 9, 0)], vectors(1, 2, 3, 4))
    library.add_vectors("other", [f"{n:032x}" for n in (1, 2, 3)], vectors(1, 2, 3))
    missing = library.without_vector(ids, "f")
    assert (missing.tolist(), missing.dtype) == (as_ids(1, 3).tolist(), np.dtype("S32"))
    assert library.without_vector(missing, "other").tolist() == []
    assert library.without_vector(as_ids(), "f").tolist() == []


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 40)), st.lists(st.sets(st.integers(0, 40), min_size=1), max_size=3))
def test_what_is_without_a_vector_and_what_has_one_is_all(
    tmp_path_factory: pytest.TempPathFactory, wanted: set[int], stored: list[set[int]]
) -> None:
    library = Library.create_or_open(tmp_path_factory.mktemp("library"))
    for numbers in stored:
        library.add_vectors("f", [f"{n:032x}" for n in numbers], vectors(*numbers))
    missing = library.without_vector(as_ids(*sorted(wanted)), "f")
    present = set().union(*stored)
    assert missing.tolist() == as_ids(*sorted(wanted - present)).tolist()


# The sample


def fill(library: Library, start: int, stop: int) -> None:
    dice = random.Random(0)
    ids = [f"{dice.getrandbits(128):032x}" for _ in range(stop)]
    library.upsert_images(
        [
            ImageRow(one, (ImageFile(Path(one), (), 1, 1),), 1, 1, "png", 1, 0)
            for one in ids[start:stop]
        ]
    )


def test_a_sample_stays_the_same_while_the_library_grows(library: Library) -> None:
    fill(library, 0, 600)
    sample = library.sample_ids()
    assert len(sample) == 556
    assert set(sample) < {one.decode() for one in library.image_ids().tolist()}
    fill(library, 600, 1300)
    assert library.sample_ids() == sample
    assert Library.open(library.path).sample_ids() == sample


def test_a_sample_does_not_change_the_rest_of_the_state(library: Library) -> None:
    library.update_state(prepared=True, remembered={"seed": 3})
    fill(library, 0, 10)
    library.sample_ids()
    state = Library.open(library.path).state
    assert (state.prepared, state.remembered, len(state.sample)) == (True, {"seed": 3}, 10)


def test_a_small_sample_is_drawn_again_when_there_is_much_more(library: Library) -> None:
    # Or a library whose first images were embedded in bf16 would be too small for int8 for ever.
    sizes = []
    for start, stop in ((0, 20), (20, 39), (39, 40), (40, 79), (79, 550), (550, 600)):
        fill(library, start, stop)
        sizes.append(len(library.sample_ids()))
    assert sizes == [20, 20, 40, 40, 550, 556]


def test_a_sample_has_only_images_with_a_file(library: Library) -> None:
    library.upsert_images([image(1, Path("/a")), image(2), image(3, Path("/c"))])
    assert library.sample_ids() == [f"{1:032x}", f"{3:032x}"]


# Problems


def test_problems_are_replaced_as_a_whole(library: Library) -> None:
    library.replace_problems([Problem(path, f"reason {path.name!r}") for path in AWKWARD_PATHS])
    assert {problem.path for problem in library.problems()} == set(AWKWARD_PATHS)
    library.replace_problems([Problem(Path("b"), "x"), Problem(Path("a"), "y")])
    assert library.problems() == [Problem(Path("a"), "y"), Problem(Path("b"), "x")]
    library.replace_problems([])
    assert library.problems() == []


def test_added_problems_replace_those_of_the_same_file(library: Library) -> None:
    table = Path("table.csv")
    library.add_problems(
        [Problem(table, "line 1"), Problem(table, "line 2"), Problem(Path("a"), "")]
    )
    assert len(library.problems()) == 3
    library.add_problems([Problem(table, "line 3")])
    assert library.problems() == [Problem(Path("a"), ""), Problem(table, "line 3")]


# Vectors


def test_vectors_come_back_in_the_order_of_ids(library: Library) -> None:
    library.add_vectors("f", ["c", "a"], vectors(3, 1))
    library.add_vectors("f", ["b"], vectors(2))
    library.add_vectors("other", ["z"], vectors(9, dimension=3))
    ids, stored = Library.open(library.path).vectors("f")
    assert ids == ["a", "b", "c"]
    assert (stored.shape, stored.dtype) == ((3, 8), np.float16)
    assert stored[:, 0].tolist() == [1, 2, 3]
    assert library.vector_ids("f") == {"a", "b", "c"}
    assert library.vectors("other")[1].shape == (1, 3)


def test_the_first_vector_of_an_id_is_kept(library: Library) -> None:
    library.add_vectors("f", ["a", "b", "a"], vectors(1, 2, 3))
    library.add_vectors("f", ["b", "c", "c"], vectors(4, 5, 6))
    ids, stored = library.vectors("f")
    assert (ids, stored[:, 0].tolist()) == (["a", "b", "c"], [1, 2, 5])


def test_vectors_of_another_length_are_refused(library: Library) -> None:
    library.add_vectors("f", ["a"], vectors(1))
    with pytest.raises(LibraryError):
        library.add_vectors("f", ["b"], vectors(1, dimension=5))
    assert library.vectors("f")[0] == ["a"]


def test_vectors_of_images_without_a_file_are_left_out(library: Library) -> None:
    library.upsert_images([image(1, Path("/a")), image(2), image(3, Path("/c"))])
    library.add_vectors("f", [f"{n:032x}" for n in (1, 2, 3, 4)], vectors(1, 2, 3, 4))
    rows, stored = library.embedded_images("f")
    assert [row.paths for row in rows] == [(Path("/a"),), (Path("/c"),)]
    assert stored[:, 0].tolist() == [1, 3]


def test_many_small_writes_are_joined(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    import lance

    monkeypatch.setattr(lance_table, "_KEEP_VERSIONS", timedelta(0))
    for number in range(120):
        library.add_vectors("f", [f"{number:03}"], vectors(number))
    table = lance.dataset(str(library.path / "vectors-f.lance"))
    assert len(table.get_fragments()) <= 51
    assert len(table.versions()) <= 51
    ids, stored = library.vectors("f")
    assert stored[:, 0].tolist() == list(range(120))
    assert len(ids) == 120


def test_readers_of_an_old_version_are_not_cut_off(library: Library) -> None:
    import lance

    library.add_vectors("f", ["first"], vectors(0))
    reader = lance.dataset(str(library.path / "vectors-f.lance"))
    for number in range(60):
        library.add_vectors("f", [f"{number:03}"], vectors(number))
    assert reader.to_table().num_rows == 1


# Decisions


def test_decisions_are_only_ever_added(library: Library) -> None:
    first = library.decide("merge", ["kitty", "cat"], canonical="cat", evidence="same images, 9/10")
    second = library.decide("reject", ["cat", "dog"])
    third = library.decide("undo", undoes=1)
    decisions = Library.open(library.path).decisions()
    assert decisions == [first, second, third]
    assert [decision.number for decision in decisions] == [1, 2, 3]
    assert accepted_merges(decisions) == {}
    assert first.when.endswith("+00:00")
    assert first.who


@pytest.mark.parametrize("number", [0, 1, 7, -1])
def test_what_was_not_decided_cannot_be_undone(library: Library, number: int) -> None:
    with pytest.raises(LibraryError, match=f"no decision number {number}"):
        library.decide("undo", undoes=number)
    assert library.decisions() == []


def test_several_decisions_are_taken_at_once_or_not_at_all(library: Library) -> None:
    first = library.decide("merge", ["cats", "cat"], canonical="cat", probability=0.9)
    more = [
        NewDecision("imply", ("cat", "animal")),
        NewDecision("related", ("cat", "dog"), when="2020-01-01T00:00:00+00:00", who="her"),
    ]
    stored = library.decide_all(more)
    assert [one.number for one in stored] == [2, 3]
    assert (stored[1].who, stored[1].when[:4]) == ("her", "2020")
    with pytest.raises(LibraryError, match="no decision number 9"):
        library.decide_all([NewDecision("reject", ("a", "b")), NewDecision("undo", undoes=9)])
    assert library.decisions() == [first, *stored]
    assert library.decide_all([]) == []


def test_many_decisions_stay_in_order(library: Library) -> None:
    for number in range(120):  # old versions are dropped on the way
        assert library.decide("reject", [str(number), "x"]).number == number + 1
    assert [one.tags[0] for one in library.decisions()] == [str(n) for n in range(120)]


_DECIDER = """
import sys
from pathlib import Path
from tagkin.decisions import NewDecision
from tagkin.library import Library

library = Library.open(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    new = [NewDecision("reject", (sys.argv[2], str(number), part)) for part in "ab"]
    for one in library.decide_all(new):
        print(one.number, *one.tags, flush=True)
"""


def test_processes_that_decide_at_the_same_time_get_numbers_of_their_own(library: Library) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(lance_table.__file__).parent.parent)}
    deciders = [
        subprocess.Popen(
            [sys.executable, "-c", _DECIDER, str(library.path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    for decider in deciders:  # they also make the table at the same time
        assert decider.stdout is not None
        assert decider.stdout.readline() == "ready\n"
    for decider in deciders:
        assert decider.stdin is not None
        decider.stdin.write("go\n")
        decider.stdin.flush()
    told = [line.split() for decider in deciders for line in decider.communicate()[0].splitlines()]
    assert all(decider.returncode == 0 for decider in deciders)
    decisions = library.decisions()
    assert len(decisions) == len(told) == 150
    assert sorted(int(number) for number, *_ in told) == list(range(1, 151))
    assert all(decisions[int(number) - 1].tags == tuple(tags) for number, *tags in told)


def test_tags_are_counted_by_image(library: Library) -> None:
    paths = Path("/a"), Path("/b")
    library.upsert_images([image(1, *paths, tags=("Cat", "x")), image(2, Path("/c"), tags=("x",))])
    library.upsert_images([image(3, tags=("gone",))])
    assert library.tag_counts() == {"Cat": 1, "x": 2}


# The format, and damage


def test_the_folder_is_that_of_a_lance_database(library: Library) -> None:
    import lance

    library.upsert_images([image(1, Path("/a"), tags=("x",))])
    library.add_vectors("f", ["a"], vectors(1))
    library.decide("reject", ["a", "b"])
    library.replace_problems([])
    names = sorted(path.name for path in library.path.glob("*.lance"))
    assert names == ["decisions.lance", "images.lance", "problems.lance", "vectors-f.lance"]
    assert lance.dataset(str(library.path / "images.lance")).to_table(["tags"]).to_pylist() == [
        {"tags": ["x"]}
    ]
    vector = lance.dataset(str(library.path / "vectors-f.lance")).schema.field("vector").type
    assert str(vector) == "fixed_size_list<item: halffloat>[8]"


def test_a_damaged_table_is_named(library: Library) -> None:
    library.upsert_images([image(1, Path("/a"))])
    library.add_vectors("f", ["a"], vectors(1))
    for file in library.path.glob("*.lance/data/*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(LibraryError, match=r"can't read .*images\.lance"):
        library.images()
    with pytest.raises(LibraryError, match=r"can't read .*vectors-f\.lance"):
        library.vectors("f")


def test_what_a_killed_first_write_leaves_is_no_table(library: Library) -> None:
    (library.path / "images.lance" / "_versions").mkdir(parents=True)
    (library.path / "images.lance" / "_versions" / "1.manifest#1").touch()
    assert library.images() == []
    library.upsert_images([image(1)])
    assert library.images() == [image(1)]


_WRITER = """
import sys
from pathlib import Path
import numpy as np
from tagkin.library import Library
from tagkin.records import ImageRow, Problem

library = Library.create_or_open(Path(sys.argv[1]))
start = len(library.decisions())
print("ready", flush=True)
for number in range(start, start + 10_000):
    ids = [f"{number:016x}{part:016x}" for part in range(3)]
    rows = [ImageRow(one, (), number, 1, "png", 1, number) for one in ids]
    library.upsert_images([*rows, ImageRow("f" * 32, (), number, 1, "png", 1, number)])
    library.add_vectors("f", ids, np.full((3, 4), number % 1000, np.float32))
    library.replace_problems([Problem(Path(str(n)), str(number)) for n in range(3)])
    library.update_state(remembered={"seed": number})
    library.decide("reject", [str(number)])
"""


@pytest.mark.fault
def test_a_writer_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)
    path = tmp_path / "library"
    source = str(Path(lance_table.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": source}
    decided = 0
    for kill in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, env=environment
        )
        with writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.002 if kill == 0 else rng.uniform(0, 1.5))
            writer.send_signal(signal.SIGKILL)
        library = Library.open(path)
        numbers = [decision.number for decision in library.decisions()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= decided
        decided = len(numbers)
        rows = library.images()
        assert len({row.id for row in rows}) == len(rows)
        assert len(rows) % 3 == (1 if rows else 0)  # all of a batch or nothing
        assert len(rows) >= 3 * decided + bool(decided)
        ids, stored = library.vectors("f")
        assert len(set(ids)) == len(ids) >= 3 * decided
        assert len(ids) % 3 == 0
        assert all(int(one[:16], 16) % 1000 == v[0] for one, v in zip(ids, stored, strict=True))
        assert len({problem.reason for problem in library.problems()}) <= 1
        assert len(library.problems()) in (0, 3)
    assert decided > 10


def test_vectors_that_two_runs_stored_at_once_are_read_once(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    library.add_vectors("fp", ["b", "a"], vectors(2, 1))
    table = lance_table.LanceTable(tmp_path / "library" / "vectors-fp.lance", None)
    table.append(table.read())  # what two merges that overlap leave behind
    assert table.count() == 4
    ids, read = library.vectors("fp")
    assert ids == ["a", "b"]
    assert read[:, 0].tolist() == [1, 2]
    assert library.vector_ids("fp") == {"a", "b"}
