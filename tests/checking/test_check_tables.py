"""Damaged tables: what is found, and that a repair keeps all that can be read."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest
from helpers_checking import check, cut, files_of, findings, make_library, mend

from tagkin import lance_table
from tagkin.checking.aside import move_aside
from tagkin.decisions import in_force
from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.tag_edits import NewTagEdit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_library(tmp_path)


def newest(table: Path) -> Path:
    return min((table / "_versions").glob("*.manifest"))  # names count down


def test_a_whole_library_is_clean_and_is_left_as_it_is(path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    report = check(path)
    assert report.clean
    assert report.findings == ()
    assert report.checked["images"] == report.checked["vectors"] == 24
    assert report.checked["decisions"] == 5
    after = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    assert after == before


@pytest.mark.parametrize("how", ["cut", "empty", "gone", "zeros"])
def test_a_damaged_fragment_of_vectors_costs_its_own_rows_only(path: Path, how: str) -> None:
    table = path / "vectors-f.lance"
    ids, vectors = Library.open(path).vectors("f")
    (file,) = files_of(table, 1)
    content = file.read_bytes()
    damaged = {"cut": content[: len(content) // 2], "empty": b"", "zeros": bytes(len(content))}
    file.unlink() if how == "gone" else file.write_bytes(damaged[how])
    (found,) = findings(path)
    assert (found.level, found.part, found.count) == ("damage", "vectors", 12)
    assert found.where == table
    assert "fragment" in found.what
    assert str(file) in found.examples
    mend(path)
    left, kept = Library.open(path).vectors("f")
    assert len(left) == 12
    places = [ids.index(one) for one in left]
    np.testing.assert_array_equal(kept, vectors[places])
    if how != "gone":
        (aside,) = (path / "damaged").iterdir()
        assert (aside / file.name).read_bytes() == damaged[how]


def test_a_damaged_fragment_of_images_costs_its_own_rows_only(path: Path) -> None:
    rows = {row.id: row for row in Library.open(path).images()}
    table = path / "images.lance"
    fragments = lance.dataset(str(table)).get_fragments()
    assert len(fragments) == 2
    cut(files_of(table, 1)[0])
    mend(path)
    left = {row.id: row for row in Library.open(path).images()}
    assert len(left) == 20
    assert left.items() <= rows.items()


def test_a_damaged_list_of_deleted_rows_costs_nothing(path: Path) -> None:
    rows = Library.open(path).images()
    (file,) = (path / "images.lance" / "_deletions").iterdir()
    cut(file)
    (found,) = findings(path)
    assert str(file) in found.examples
    # The rows that had been replaced are there again, beside those that replaced them.
    repaired = findings(path, repair=True)
    assert [one.what[:8] for one in repaired] == ["fragment", "images t"]
    assert findings(path) == []
    assert Library.open(path).images() == rows


def test_decisions_keep_their_numbers(path: Path) -> None:
    library = Library.open(path)
    library.decide("undo", undoes=5)
    before = library.decisions()
    table = path / "decisions.lance"
    fragments = lance.dataset(str(table)).get_fragments()
    where = [one.to_table(["tags"]).column("tags").to_pylist() for one in fragments]
    place = next(n for n, tags in enumerate(where) if ["a", "1"] in tags)
    cut(files_of(table, place)[0])
    (found,) = mend(path)
    assert (found.part, found.count) == ("decisions", 1)
    after = Library.open(path).decisions()
    assert [one.number for one in after] == [1, 2, 3, 4, 5, 6]
    assert [one for one in after if one.number != 2] == [one for one in before if one.number != 2]
    assert (after[1].kind, after[1].undoes, after[1].tags) == ("undo", None, ())
    assert [one.number for one in in_force(after)] == [1, 3, 4]
    assert Library.open(path).decide("reject", ["x", "y"]).number == 7


def test_edits_of_tags_keep_their_numbers(path: Path) -> None:
    library = Library.open(path)
    image = library.images()[0].id
    for tag in "abc":
        library.edit_tags([NewTagEdit("add", image, tag)])
    before = library.tag_edits()
    cut(files_of(path / "edits.lance", 1)[0])
    mend(path)
    after = Library.open(path).tag_edits()
    assert [one.number for one in after] == [1, 2, 3]
    assert sum(one == two for one, two in zip(after, before, strict=True)) == 2
    assert Library.open(path).edit_tags([NewTagEdit("remove", image, "a")])[0].number == 4


@pytest.mark.parametrize("how", ["cut", "empty"])
def test_a_damaged_last_version_loses_no_row(path: Path, how: str) -> None:
    before = Library.open(path)
    rows, (ids, vectors), taken = before.images(), before.vectors("f"), before.decisions()
    for name in ("images", "vectors-f", "decisions"):
        file = newest(path / f"{name}.lance")
        cut(file) if how == "cut" else file.write_bytes(b"")
    assert {one.part for one in findings(path)} == {"images", "vectors", "decisions"}
    mend(path)
    after = Library.open(path)
    assert after.images() == rows
    assert after.vectors("f")[0] == ids
    np.testing.assert_array_equal(after.vectors("f")[1], vectors)
    assert after.decisions() == taken
    # It can be written to as before.
    after.upsert_images(rows[:3])
    after.add_vectors("f", ["0" * 32], np.ones((1, 8), np.float32))
    assert after.decide("reject", ["x", "y"]).number == 6


@pytest.mark.parametrize("name", ["images", "decisions"])
def test_a_repair_of_the_last_version_that_was_killed_adds_nothing_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = Library.open(path)
    taken, rows = before.decisions(), before.images()
    cut(newest(path / f"{name}.lance"))
    steps = Path.replace, Path.rename
    for last in range(100):
        # Killed after 0, 1, 2 ... steps of those that put files into their places.
        left = iter(range(last))

        def killed(step: Any, left: Any = left) -> Any:
            def run(file: Path, target: Path) -> Path:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                return step(file, target)  # type: ignore[no-any-return]

            return run

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed(steps[0]))
            patch.setattr(Path, "rename", killed(steps[1]))
            try:
                check(path, repair=True)
            except KeyboardInterrupt:
                continue
        break
    assert 3 <= last < 99
    assert findings(path) == []
    after = Library.open(path)
    assert after.decisions() == taken
    assert after.images() == rows
    assert after.decide("reject", ["x", "y"]).number == 6


def test_a_damaged_old_version_is_put_aside(path: Path) -> None:
    old = max((path / "images.lance" / "_versions").glob("*.manifest"))
    rows = Library.open(path).images()
    old.write_bytes(b"")
    (found,) = mend(path)
    assert found.what.startswith("old version 1 ")
    assert Library.open(path).images() == rows


def test_a_table_without_any_version_is_made_again_of_its_rows(path: Path) -> None:
    before = Library.open(path)
    rows, (ids, vectors), taken = before.images(), before.vectors("f"), before.decisions()
    for name in ("images", "vectors-f", "decisions"):
        for file in (path / f"{name}.lance" / "_versions").iterdir():
            file.unlink()
    mend(path)
    after = Library.open(path)
    assert after.images() == rows
    assert after.vectors("f")[0] == ids
    np.testing.assert_array_equal(after.vectors("f")[1], vectors)
    assert after.decisions() == taken
    assert len(list((path / "damaged").iterdir())) == 3


def test_a_long_history_is_made_again_though_old_versions_were_dropped(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_table, "_KEEP_VERSIONS", timedelta(0))
    library = Library.open(path)
    rows = library.images()
    for number in range(60):
        library.decide("reject", ["b", str(number)])
        library.upsert_images([replace(rows[number % 3], width=number + 1)])
    taken, rows = library.decisions(), library.images()
    for name in ("images", "decisions"):
        table = path / f"{name}.lance"
        # A write that was killed before it was complete.
        (table / "data" / "killed.lance").write_bytes(files_of(table, 0)[0].read_bytes())
        assert len(list((table / "_transactions").iterdir())) < 40
        for file in (table / "_versions").iterdir():
            file.unlink()
    mend(path)
    assert Library.open(path).decisions() == taken
    assert Library.open(path).images() == rows


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rebuild_that_was_killed_is_finished(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    taken = Library.open(path).decisions()
    for file in (path / "decisions.lance" / "_versions").iterdir():
        file.unlink()

    def killed(library: Path, table: Path) -> Path:
        if moment == "after":
            move_aside(library, table)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tagkin.checking.versions.move_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            check(path, repair=True)
    assert "decisions" in {one.part for one in findings(path)}
    mend(path)
    assert Library.open(path).decisions() == taken


def test_several_damaged_last_versions_lose_no_row(path: Path) -> None:
    taken = Library.open(path).decisions()
    for file in sorted((path / "decisions.lance" / "_versions").glob("*.manifest"))[:3]:
        cut(file)
    mend(path)
    assert Library.open(path).decisions() == taken


def test_what_a_killed_first_write_left_is_removed(path: Path) -> None:
    versions = path / "vectors-g.lance" / "_versions"
    versions.mkdir(parents=True)
    (versions / "1.manifest#1").touch()
    (found,) = mend(path)
    assert found.level == "leftover"
    assert not versions.parent.exists()


def test_rows_that_are_there_twice_become_one(path: Path) -> None:
    library = Library.open(path)
    rows, (ids, vectors) = library.images(), library.vectors("f")
    for name in ("images", "vectors-f"):
        table = LanceTable(path / f"{name}.lance", None)
        table.append(table.read())
    found = mend(path)
    assert [(one.part, one.count) for one in found] == [("images", 24), ("vectors", 24)]
    after = Library.open(path)
    assert after.images() == rows
    assert after.vectors("f")[0] == ids
    np.testing.assert_array_equal(after.vectors("f")[1], vectors)
    assert LanceTable(path / "vectors-f.lance", None).count() == 24
