"""Files beside images: how they are called, and that nothing in them is lost."""

import json
import os
import stat
from pathlib import Path

import pytest
from helpers_writers import images, kinds, listing, write

from tagkin.errors import ExportError
from tagkin.sources import open_source
from tagkin.vocabulary import TagRules


def test_new_files_have_the_usual_name_of_their_format(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    for to in ("txt", "xmp", "hydrus"):
        assert kinds(write(to, {cat: "a,b"})) == ["made"]
    assert listing(tmp_path) == ["cat.jpg", "cat.jpg.json", "cat.jpg.xmp", "cat.txt"]
    assert (tmp_path / "cat.txt").read_bytes() == b"a, b\n"
    assert json.loads((tmp_path / "cat.jpg.json").read_text()) == {"tags": ["a", "b"]}
    (dog,) = images(tmp_path, "dog.jpg")
    write("lines", {dog: ["a, b", "c"]}, names="full")
    write("xmp", {dog: "a"}, names="short")
    assert (tmp_path / "dog.jpg.txt").read_bytes() == b"a, b\nc\n"
    assert "dog.xmp" in listing(tmp_path)


def test_a_file_that_is_there_keeps_its_name(tmp_path: Path) -> None:
    cat, dog = images(tmp_path, "cat.jpg", "dog.jpg")
    (tmp_path / "cat.jpg.TXT").write_text("a")
    (tmp_path / "dog.txt").write_text("a")
    assert kinds(write("txt", {cat: "b", dog: "b"}, update=True)) == ["changed"] * 2
    assert listing(tmp_path) == ["cat.jpg", "cat.jpg.TXT", "dog.jpg", "dog.txt"]


def test_no_file_would_hold_the_tags_of_two_images(tmp_path: Path) -> None:
    paths = images(tmp_path, "cat.jpg", "cat.png", "x.jpg", "x.jpg.jpg")
    changes = write("txt", {path: path.suffix[1:] + str(len(path.name)) for path in paths})
    assert [change.file.name for change in changes] == [
        "cat.jpg.txt",
        "cat.png.txt",
        "x.txt",
        "x.jpg.jpg.txt",
    ]
    found = {record.path: record.tags for record in open_source(tmp_path)}  # type: ignore[union-attr]
    assert found == {path: (path.suffix[1:] + str(len(path.name)),) for path in paths}
    (change,) = write("txt", {paths[0]: "a"}, names="short")
    assert change.kind == "failed"
    assert "--names full" in change.problem
    assert "'cat.txt'" in change.problem


def test_without_update_what_exists_is_left_alone(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    for to, name, content in (
        ("txt", "cat.txt", "a"),
        ("hydrus", "cat.json", '{"tags": ["a"]}'),
        ("xmp", "cat.xmp", "<no xmp"),
    ):
        (tmp_path / name).write_text(content)
        (change,) = write(to, {cat: "b"})
        assert change.kind == ("failed" if to == "xmp" else "kept")
        assert (tmp_path / name).read_text() == content
    assert kinds(write("txt", {cat: "a"})) == ["same"]


def test_a_dry_run_changes_nothing_and_says_what_would_be(tmp_path: Path) -> None:
    cat, dog = images(tmp_path, "cat.jpg", "dog.jpg")
    (tmp_path / "cat.txt").write_text("a, b")
    before = {name: (tmp_path / name).stat() for name in listing(tmp_path)}
    changes = write("txt", {cat: "b,c", dog: "d"}, unwanted=("a",), update=True, dry_run=True)
    assert [(c.kind, c.added, c.removed) for c in changes] == [
        ("changed", ("c",), ("a",)),
        ("made", ("d",), ()),
    ]
    assert {name: (tmp_path / name).stat() for name in listing(tmp_path)} == before


@pytest.mark.parametrize(
    ("to", "before", "added", "after"),
    [
        ("txt", "a, b", "c", "a, b, c\n"),
        ("txt", "a,b,\n", "c", "a,b, c\n"),
        ("txt", "a, b\nc\n", "d", "a, b\nc\nd\n"),
        ("txt", "a\r\nb", "c", "a\r\nb\r\nc\r\n"),
        ("txt", "a,\nb,\nc", "d", "a,\nb,\nc, d\n"),
        ("txt", "", "a", "a\n"),
        ("txt", " \n", "a,b", "a, b\n"),
        ("lines", "a, b\nc", "d", "a, b\nc\nd\n"),
        ("hydrus", '{"urls": [1.5], "tags": ["a"]}', "b", '{"urls": [1.5], "tags": ["a", "b"]}\n'),
        ("hydrus", '{\n "notes": {"x": "ü"}\n}', "b", None),
        ("hydrus", '["a"]', "b", '["a", "b"]\n'),
        ("hydrus", '{"tags": "a\\nb"}', "c", '{"tags": "a\\nb\\nc"}\n'),
        ("hydrus", '{"tags": null, "x": "\\ud800"}', "c", '{"tags": ["c"], "x": "\\ud800"}\n'),
    ],
)
def test_what_a_file_holds_stays_as_it_is(
    tmp_path: Path, to: str, before: str, added: str, after: str | None
) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    path = tmp_path / ("cat.json" if to == "hydrus" else "cat.txt")
    path.write_bytes(before.encode())
    assert kinds(write(to, {cat: added}, update=True)) == ["changed"]
    if after is None:
        after = '{\n "notes": {\n  "x": "ü"\n },\n "tags": [\n  "b"\n ]\n}\n'
    assert path.read_bytes().decode() == after
    assert kinds(write(to, {cat: added}, update=True)) == ["same"]


@pytest.mark.parametrize("to", ["txt", "lines", "hydrus"])
def test_unwanted_tags_are_taken_out(tmp_path: Path, to: str) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    write(to, {cat: "a,b,c"})
    (change,) = write(to, {cat: "c,d"}, unwanted=("b", "c", "x"), update=True)
    assert (change.added, change.removed) == (("d",), ("b",))
    (record,) = open_source(tmp_path, format="folder" if to == "txt" else "hydrus")
    assert record.tags == ("a", "c", "d")  # type: ignore[union-attr]


def test_a_tag_in_another_spelling_is_not_added_again(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    (tmp_path / "cat.txt").write_text("Big  Eyes, Ａ")
    fold = TagRules().fold
    assert kinds(write("txt", {cat: "big eyes,a"}, update=True, fold=fold)) == ["same"]
    (change,) = write("txt", {cat: "b"}, unwanted=("BIG EYES",), update=True, fold=fold)
    assert change.removed == ("Big  Eyes",)
    assert (tmp_path / "cat.txt").read_text() == "Ａ, b\n"


@pytest.mark.parametrize(
    ("to", "name", "content", "expected"),
    [
        ("txt", "cat.txt", b"caf\xe9", "UTF-8"),
        ("txt", "cat.txt", b"a" * 2**21, "1,048,576 bytes"),
        ("txt", "cat.txt", b"a\0", "NUL"),
        ("lines", "cat.txt", b"a, b", "format txt"),
        ("hydrus", "cat.json", b'{"tags": ["a"], "tags": ["b"]}', "twice"),
        ("hydrus", "cat.json", b'{"tags": [1]}', "no text"),
        ("hydrus", "cat.json", b"[1]", "other things"),
        ("hydrus", "cat.json", b'{"x": NaN}', "NaN"),
        ("hydrus", "cat.json", b'{"x": 1e999}', "JSON"),
        ("hydrus", "cat.json", b"3", "an object"),
        ("hydrus", "cat.json", b"{", "not JSON"),
        ("hydrus", "cat.json", b'{"x": "caf\xe9"}', "UTF-8"),
        ("hydrus", "cat.json", b"[" * 20_000, "nested"),
        ("xmp", "cat.xmp", b"<a/>", "no XMP"),
        ("xmp", "cat.xmp", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "entities"),
        ("xmp", "cat.xmp", b"<a>" * 9_000 + b"</a>" * 9_000, "XMP"),
    ],
)
def test_what_can_not_be_changed_without_loss_is_not_changed(
    tmp_path: Path, to: str, name: str, content: bytes, expected: str
) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    (tmp_path / name).write_bytes(content)
    (change,) = write(to, {cat: "new"}, update=True)
    assert change.kind == "failed"
    assert expected in change.problem
    assert (tmp_path / name).read_bytes() == content
    assert listing(tmp_path) == sorted(["cat.jpg", name])


def test_encodings_with_a_mark_stay(tmp_path: Path) -> None:
    cat, dog = images(tmp_path, "cat.jpg", "dog.jpg")
    (tmp_path / "cat.txt").write_bytes("ä".encode("utf-8-sig"))
    (tmp_path / "dog.txt").write_bytes("ä".encode("utf-16"))
    write("txt", {cat: "ö", dog: "ö"}, update=True)
    assert (tmp_path / "cat.txt").read_bytes() == "ä, ö\n".encode("utf-8-sig")
    assert (tmp_path / "dog.txt").read_bytes().decode("utf-16") == "ä, ö\n"


def test_the_key_of_hydrus_may_be_a_path(tmp_path: Path) -> None:
    cat, dog = images(tmp_path, "cat.jpg", "dog.jpg")
    (tmp_path / "cat.json").write_text('{"tags": {"my tags": ["a"], "all": ["x"]}}')
    write("hydrus", {cat: "b", dog: "c"}, update=True, tags_key="tags.my tags")
    told = json.loads((tmp_path / "cat.json").read_text())
    assert told == {"tags": {"my tags": ["a", "b"], "all": ["x"]}}
    assert json.loads((tmp_path / "dog.jpg.json").read_text()) == {"tags": {"my tags": ["c"]}}


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    cat, dog, owl = images(tmp_path / "images", "cat.jpg", "dog.jpg", "owl.jpg")
    private = cat.with_suffix(".txt")
    private.write_text("a")
    private.chmod(0o600)
    (tmp_path / "tags.txt").write_text("a")
    dog.with_suffix(".txt").symlink_to(tmp_path / "tags.txt")
    owl.with_suffix(".txt").symlink_to(tmp_path / "nowhere")
    changes = write("txt", {cat: "b", dog: "b", owl: "b"}, update=True)
    assert kinds(changes) == ["changed", "changed", "failed"]
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert dog.with_suffix(".txt").is_symlink()
    assert (tmp_path / "tags.txt").read_text() == "a, b\n"
    assert not (tmp_path / "nowhere").exists()


def test_images_that_nothing_can_lie_beside(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    inside = tmp_path / "shard.tar!" / "1.jpg"
    (tmp_path / "shard.tar").touch()
    gone = tmp_path / "gone.jpg"
    nowhere = tmp_path / "no folder" / "a.jpg"
    long = tmp_path / ("x" * 251 + ".jpg")
    long.touch()
    changes = write("xmp", {inside: "a", gone: "a", nowhere: "a", long: "a", cat: "a"})
    assert kinds(changes) == ["failed"] * 4 + ["made"]
    assert "archive" in changes[0].problem
    assert "no longer" in changes[1].problem
    assert "No such file" in changes[2].problem
    assert "too long" in changes[3].problem


def test_an_image_without_tags_gets_no_file(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    for to in ("txt", "lines", "xmp", "hydrus"):
        assert kinds(write(to, {cat: []})) == ["same"]
    assert listing(tmp_path) == ["cat.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    tmp_path.chmod(0o500)
    try:
        (change,) = write("txt", {cat: "a"})
    finally:
        tmp_path.chmod(0o700)
    assert change.problem == "Permission denied"


@pytest.mark.parametrize(
    ("to", "options", "expected"),
    [
        ("exif", {}, "choose from: txt"),
        ("csv", {}, "--output"),
        ("txt", {"output": Path("x")}, "--output has no meaning"),
        ("csv", {"output": Path("x"), "names": "full"}, "it is for: txt, lines, xmp, hydrus"),
        ("txt", {"names": "long"}, "auto, short, full"),
        ("xmp", {"tags_key": "x"}, "--tags-key"),
        ("xmp", {"originals": False}, "--no-originals"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    to: str, options: dict[str, object], expected: str
) -> None:
    with pytest.raises(ExportError, match=expected):
        write(to, {}, **options)
