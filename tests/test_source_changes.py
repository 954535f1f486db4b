"""A source that is read again: what is added, updated, missing and pruned."""

import io
import json
import shutil
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers_collection import add, collection, encode, picture

from tagkin import images, preparing
from tagkin.errors import LibraryError, SourceError
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.prepare_report import PrepareReport
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.source_changes import FileChanges
from tagkin.sources import open_source


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create_or_open(tmp_path / "library")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    for number in range(4):
        add(made, f"{number}.png", picture(number), "x")
    return made


def run(
    library: Library, path: Path, *, prune: bool = False, settings: Any = None, **options: Any
) -> PrepareReport:
    chosen = Settings(min_tag_occurrences=1, **(settings or {}))
    return prepare(library, open_source(path, **options), chosen, prune=prune)


def files(library: Library) -> dict[str, tuple[tuple[str, ...], bool]]:
    return {f.path.name: (f.tags, f.missing) for row in library.images() for f in row.files}


def test_a_folder_that_changes(library: Library, folder: Path) -> None:
    assert run(library, folder).changes == FileChanges(added=4)
    assert run(library, folder).changes == FileChanges()
    (folder / "0.png.txt").write_text("y")
    add(folder, "1.png", picture(9), "x")
    (folder / "2.png").unlink()
    add(folder, "new.png", picture(5))
    report = run(library, folder)
    assert report.changes == FileChanges(added=1, updated=2, missing=1)
    assert report.to_dict()["missing_files"] == 1
    assert files(library) == {
        "0.png": (("y",), False),
        "1.png": (("x",), False),
        "2.png": (("x",), True),
        "3.png": (("x",), False),
        "new.png": ((), False),
    }
    assert run(library, folder).changes == FileChanges(missing=1)
    add(folder, "2.png", picture(2), "x")
    assert run(library, folder).changes.missing == 0
    assert files(library)["2.png"] == (("x",), False)


def test_pruning_forgets_records_and_no_file(library: Library, folder: Path) -> None:
    add(folder, "copy.png", encode(picture(0)), "x")
    run(library, folder)
    moved = folder.parent / "moved"
    moved.mkdir()
    for name in ("0.png", "1.png"):
        (folder / name).rename(moved / name)
    report = run(library, folder, prune=True)
    assert report.changes == FileChanges(missing=2, pruned=2)
    assert sorted(files(library)) == ["2.png", "3.png", "copy.png"]
    assert len(library.images()) == 3
    assert len(list(moved.iterdir())) == 2
    assert run(library, folder, prune=True).changes == FileChanges()


def test_what_could_not_be_read_is_not_missing(library: Library, folder: Path) -> None:
    add(folder, "sub/a.png", picture(7), "x")
    run(library, folder)
    shutil.rmtree(folder / "sub")
    (folder / "sub").symlink_to(".")  # as good as unreadable: it isn't gone into
    (folder / "3.png").write_bytes(b"broken")
    assert run(library, folder, prune=True).changes == FileChanges()
    assert len(files(library)) == 5


def test_an_empty_source_prunes_nothing(library: Library, folder: Path) -> None:
    run(library, folder)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match=r"nothing was read from .*, so nothing was pruned"):
        run(library, folder, prune=True)
    assert len(files(library)) == 4


def test_tables_in_one_folder_are_sources_of_their_own(library: Library, folder: Path) -> None:
    (folder / "a.csv").write_text("file,tags\n0.png,x\n1.png,x\n")
    (folder / "b.csv").write_text("file,tags\n2.png,x\n3.png,x\n")
    for name in ("a.csv", "b.csv", "a.csv"):
        assert run(library, folder / name).changes.missing == 0
    (folder / "a.csv").write_text("file,tags\n0.png,y\n1.png\n")
    report = run(library, folder / "a.csv", prune=True)  # of a row that can't be read
    assert report.changes == FileChanges(updated=1)
    (folder / "a.csv").write_text("file,tags\n0.png,y\n")
    assert run(library, folder / "a.csv").changes == FileChanges(missing=1)
    assert files(library)["1.png"] == (("x",), True)
    assert run(library, folder / "b.csv", prune=True).changes == FileChanges()


def test_what_a_source_skips_is_counted(library: Library, folder: Path) -> None:
    items = [
        {"id": n, "promoted": 0, "up": 1, "down": 0, "image": name, "flags": flag, "tags": []}
        for n, (name, flag) in enumerate([("0.png", 1), ("1.png", 2), ("a.mp4", 1), ("b.jpg", 1)])
    ]
    dump = folder / "d.jsonl"
    dump.write_text("".join(json.dumps(one) + "\n" for one in items))
    report = run(library, dump, flags="sfw")
    assert (report.files, report.problems) == (1, ())
    assert report.skipped == {"other flags": 1, "video or Flash": 1, "image not in the folder": 1}


def test_images_in_an_archive(library: Library, tmp_path: Path) -> None:
    shard = tmp_path / "shards" / "0.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as archive:
        for number in range(3):
            for name, data in ((f"{number}.png", encode(picture(number))), (f"{number}.txt", b"x")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    report = run(library, shard.parent)
    assert (report.images, report.problems, report.untagged_images) == (3, (), 0)
    assert run(library, shard.parent).unchanged_files == 3
    (row, *_) = library.images()
    limits = ImageLimits(10**6, 10**6)
    assert images.decode(images.read_bytes(row.paths[0], limits), limits).width == row.width


def test_truncated_images_are_used_if_the_owner_says_so(library: Library, folder: Path) -> None:
    whole = encode(picture(9), "JPEG")
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    whole = encode(picture(8))
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    assert len(run(library, folder).problems) == 2
    report = run(library, folder, settings={"allow_truncated": True})
    assert (report.problems, report.truncated_images) == ((), 2)
    marked = {p.name for row in library.images() if row.truncated for p in row.paths}
    assert marked == {"half.jpg", "half.png"}
    # The choice is one call's: another that runs meanwhile or later is as strict as ever.
    with pytest.raises(images.ImageError, match="truncated"):
        images.decode((folder / "half.jpg").read_bytes(), ImageLimits(10**6, 10**6))


def test_an_image_that_takes_too_long_is_given_up(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = images.read_dated

    def slow(path: Path, limits: ImageLimits) -> tuple[bytes, int | None]:
        if path.name == "1.png":
            time.sleep(2)
        return original(path, limits)

    monkeypatch.setattr(images, "read_dated", slow)
    report = run(library, folder, settings={"read_timeout": 0.5})
    assert report.files == 3
    (problem,) = report.problems
    assert problem.path.name == "1.png"
    assert "within 0.5 seconds; raise read_timeout" in problem.reason


def test_a_drive_that_has_gone_ends_the_run_and_the_next_goes_on(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = collection(tmp_path / "many", 40)
    original = images.read_dated
    gone = threading.Event()

    def read(path: Path, limits: ImageLimits) -> tuple[bytes, int | None]:
        if int(path.stem) >= 20:
            gone.wait(20)
        return original(path, limits)

    monkeypatch.setattr(images, "read_dated", read)
    monkeypatch.setattr(preparing, "_STORE_AFTER_FILES", 4)
    with pytest.raises(LibraryError, match=r"10 files in a row.*drive or store.*goes on"):
        run(library, many, settings={"read_timeout": 0.5, "decode_threads": 4})
    assert len(library.image_ids()) >= 16
    gone.set()
    monkeypatch.undo()
    report = run(library, many)
    assert (report.images, report.problems) == (40, ())
    assert report.unchanged_files >= 16
