"""Tables of images and tags: complete or not there at all."""

import json
from pathlib import Path

import pytest
from helpers_writers import images, kinds, listing, write, write_all

from tagkin.errors import ExportError
from tagkin.sources import ImageRecord, SourceProblem, open_source
from tagkin.writers.image_tags import WriteOptions, open_writer
from tagkin.writers.tagged import TaggedImage

TABLES = ("csv", "jsonl", "coco", "fiftyone")


def test_what_the_formats_look_like(tmp_path: Path) -> None:
    cat, dog = images(tmp_path / "pics", "cat.jpg", "dog.jpg")
    tags = {cat: {"a": 0.25, "b, c": 1.0}, dog: ["b, c"]}
    made = {}
    for to in TABLES:
        changes, table = write_all(to, tags, output=tmp_path / to)
        assert kinds(changes) == ["listed"] * 2
        assert table is not None
        assert (table.kind, table.images, table.outside) == ("made", 2, 0)
        made[to] = (tmp_path / to).read_text()
    assert made["csv"] == (
        'file_name,tags,weights\npics/cat.jpg,"a|b, c",0.25|1\npics/dog.jpg,"b, c",\n'
    )
    assert [json.loads(line) for line in made["jsonl"].splitlines()] == [
        {"file_name": "pics/cat.jpg", "tags": ["a", "b, c"], "weights": [0.25, 1.0]},
        {"file_name": "pics/dog.jpg", "tags": ["b, c"]},
    ]
    assert json.loads(made["coco"]) == {
        "images": [{"id": 1, "file_name": "pics/cat.jpg"}, {"id": 2, "file_name": "pics/dog.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "score": 0.25},
            {"id": 2, "image_id": 1, "category_id": 2},
            {"id": 3, "image_id": 2, "category_id": 2},
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b, c"}],
    }
    assert json.loads(made["fiftyone"]) == {
        "labels": {
            str(cat): [{"label": "a", "confidence": 0.25}, {"label": "b, c"}],
            str(dog): [{"label": "b, c"}],
        }
    }


@pytest.mark.parametrize("to", TABLES)
def test_an_empty_table_is_one(tmp_path: Path, to: str) -> None:
    _, table = write_all(to, {}, output=tmp_path / "t")
    assert table is not None
    assert table.images == 0
    if to in ("coco", "fiftyone"):
        assert not any(json.loads((tmp_path / "t").read_text()).values())


def test_a_separator_of_ones_own_and_none(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    tags = {"a|b": 1.0, "c;d": 0.5, "e": 1.0}
    changes = write("csv", {cat: tags}, output=tmp_path / "semicolon.csv", separator=";")
    assert changes[0].left_out == ("c;d",)
    changes = write("csv", {cat: tags}, output=tmp_path / "rows.csv", separator="")
    assert changes[0].left_out == ()
    (found,) = open_source(tmp_path / "semicolon.csv", separator=";")
    assert found == ImageRecord(cat, ("a|b", "e"))
    rows = list(open_source(tmp_path / "rows.csv", separator=""))
    assert [row.tags for row in rows if isinstance(row, ImageRecord)] == [
        ("a|b",),
        ("c;d",),
        ("e",),
    ]


def test_a_file_that_exists_is_only_replaced_by_an_update(tmp_path: Path) -> None:
    cat, dog = images(tmp_path, "cat.jpg", "dog.jpg")
    path = tmp_path / "t.jsonl"
    path.write_text("mine\n")
    with pytest.raises(ExportError, match=r"t\.jsonl exists.*--update"):
        write("jsonl", {cat: "a"}, output=path)
    with pytest.raises(ExportError, match="folder"):
        write("jsonl", {cat: "a"}, output=tmp_path, update=True)
    with pytest.raises(ExportError, match="can't write"):
        write("jsonl", {cat: "a"}, output=tmp_path / "absent" / "t.jsonl")
    assert path.read_text() == "mine\n"
    path.chmod(0o600)
    _, table = write_all("jsonl", {cat: "a"}, output=path, update=True)
    assert table is not None
    assert (table.kind, table.added, table.removed) == ("changed", 1, 1)
    assert table.lines == ("- mine", '+ {"file_name": "cat.jpg", "tags": ["a"]}')
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat()
    _, table = write_all("jsonl", {cat: "a"}, output=path, update=True)
    assert table is not None
    assert table.kind == "same"
    assert path.stat() == before
    both = {cat: "a", dog: "b"}
    _, table = write_all("jsonl", both, output=path, update=True, dry_run=True)
    assert table is not None
    assert (table.kind, table.added, table.removed) == ("changed", 1, 0)
    assert path.stat() == before
    assert listing(tmp_path) == ["cat.jpg", "dog.jpg", "t.jsonl"]


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    _, table = write_all("csv", {cat: "a"}, output=tmp_path / "t.csv", dry_run=True)
    assert table is not None
    assert (table.kind, table.images) == ("made", 1)
    assert listing(tmp_path) == ["cat.jpg"]


@pytest.mark.parametrize("to", TABLES)
def test_a_run_that_is_broken_off_leaves_nothing(tmp_path: Path, to: str) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    with (
        pytest.raises(KeyboardInterrupt),
        open_writer(to, WriteOptions(output=tmp_path / "t")) as writer,
    ):
        writer.write(TaggedImage(cat, {"a": 1.0}))
        raise KeyboardInterrupt
    assert listing(tmp_path) == ["cat.jpg"]


def test_through_a_link_the_file_behind_it_is_written(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "t.jsonl").write_text("old\n")
    link = tmp_path / "t.jsonl"
    link.symlink_to(tmp_path / "real" / "t.jsonl")
    write("jsonl", {cat: "a"}, output=link, update=True)
    assert link.is_symlink()
    (record,) = open_source(link)
    assert isinstance(record, ImageRecord)
    assert record.path == cat


def test_images_elsewhere_are_listed_by_their_whole_path(tmp_path: Path) -> None:
    (cat,) = images(tmp_path / "pics", "cat.jpg")
    table = tmp_path / "tables" / "t.csv"
    table.parent.mkdir()
    _, change = write_all("csv", {cat: "a"}, output=table)
    assert change is not None
    assert change.outside == 1
    (problem,) = open_source(table)
    assert isinstance(problem, SourceProblem)
    (record,) = open_source(table, allow_outside=True)
    assert record == ImageRecord(cat, ("a",))


def test_many_images_need_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    with open_writer("coco", WriteOptions(output=tmp_path / "t.json")) as writer:
        for number in range(2000):
            if number == 100:
                tracemalloc.start()
            writer.write(TaggedImage(tmp_path / f"{number}.jpg", {f"tag {number % 50}": 0.5}))
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        writer.finish()
    assert grown < 200_000
    assert len(json.loads((tmp_path / "t.json").read_text())["annotations"]) == 2000
