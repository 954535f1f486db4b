"""Tags in images, written by exiftool; skipped where it isn't installed."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from helpers_collection import encode, picture
from helpers_writers import kinds, listing, write
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tagkin.errors import ExportError
from tagkin.sources.embedded import embedded_tags

exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)"
)
FORMATS = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP", "gif": "GIF"}
AWKWARD = ["new\nline", "back\\slash \\n", "tab\tx", "=x", "-a", "<=b", "$x @y", "a;b, c", "#x"]
AWKWARD += ["%d", "{ready}", '"', "🐕", "&lt;", "Cat", "cat", "Animals/Dog", "(none)", "0"]
NAMES = ["-rf", "new\nline", " lead", "#c", "%f", "$(x)", "🐕", '"', "a'b", "{ready}", "-execute"]
NAMES += [os.fsdecode(b"\xff\xfe"), "\r", "@x", "tail ", "\\n"]


def image(path: Path, seed: int = 0) -> Path:
    path.write_bytes(encode(picture(seed, (40, 30)), FORMATS[path.suffix[1:]]))
    return path


def test_without_exiftool_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ExportError, match=r"apt install libimage-exiftool-perl.*--to xmp"):
        write("embed", {})


@exiftool
@pytest.mark.parametrize("extension", FORMATS)
def test_tags_come_into_an_image_whose_pixels_stay(tmp_path: Path, extension: str) -> None:
    path = image(tmp_path / f"a.{extension}")
    before = path.read_bytes()
    assert kinds(write("embed", {path: AWKWARD})) == ["kept"]
    assert path.read_bytes() == before
    (change,) = write("embed", {path: AWKWARD}, update=True, dry_run=True)
    assert (change.kind, change.added) == ("changed", tuple(AWKWARD))
    assert path.read_bytes() == before
    assert kinds(write("embed", {path: AWKWARD}, update=True)) == ["changed"]
    assert embedded_tags(path) == tuple(AWKWARD)
    assert kinds(write("embed", {path: AWKWARD}, update=True)) == ["same"]
    original = tmp_path / f"a.{extension}_original"
    assert original.read_bytes() == before
    with Image.open(path) as new, Image.open(original) as old:
        assert new.tobytes() == old.tobytes()
    (change,) = write("embed", {path: ["new"]}, unwanted=("0", "x"), update=True)
    assert change.removed == ("0",)
    assert embedded_tags(path) == (*AWKWARD[:-1], "new")
    assert original.read_bytes() == before  # the first original stays


@exiftool
def test_any_name_is_a_name(tmp_path: Path) -> None:
    paths = [image(tmp_path / f"{name}.jpg") for name in NAMES]
    changes = write("embed", {path: ["a"] for path in paths}, update=True, originals=False)
    assert kinds(changes) == ["changed"] * len(paths)
    assert listing(tmp_path) == sorted(path.name for path in paths)
    assert {embedded_tags(path) for path in paths} == {("a",)}


@exiftool
@settings(max_examples=10, deadline=None)
@given(
    tags=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map(str.strip).filter(bool),
        unique=True,
        max_size=6,
    )
)
@example(tags=AWKWARD)
def test_any_tags_are_read_as_they_were_written(tags: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = image(Path(name) / "a.jpg")
        (change,) = write("embed", {path: tags}, update=True)
        left_out = change.left_out
        assert change.problem == ""
        assert embedded_tags(path) == tuple(tag for tag in tags if tag not in left_out)
        assert all(any(c < " " or c in "\ufffe\uffff" for c in tag) for tag in left_out)


@exiftool
def test_one_image_that_can_not_be_written_costs_no_other(tmp_path: Path) -> None:
    good, last = image(tmp_path / "good.jpg"), image(tmp_path / "last.png")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(good.read_bytes()[:60])
    bitmap = tmp_path / "a.bmp"
    bitmap.write_bytes(encode(picture(0), "BMP"))
    paths = [good, broken, bitmap, tmp_path / "absent.jpg", last]
    changes = write("embed", {path: ["a"] for path in paths}, update=True, originals=False)
    assert kinds(changes) == ["changed", "failed", "failed", "failed", "changed"]
    assert "exiftool says:" in changes[1].problem
    assert "BMP" in changes[2].problem
    assert listing(tmp_path) == ["a.bmp", "broken.jpg", "good.jpg", "last.png"]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "expected"),
    [("sleep 60", "more than 0.3 s"), ("exit 3", "ended unexpectedly"), ("cat >/dev/null", "0.3")],
)
def test_a_program_that_hangs_or_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: str
) -> None:
    program = tmp_path / "bin" / "exiftool"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec {script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    paths = [image(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    changes = write("embed", {path: ["x"] for path in paths}, update=True, timeout=0.3)
    assert kinds(changes) == ["failed"] * 2
    assert all(expected in change.problem for change in changes)
