"""A full disk, and a library that can't be written."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Demo
from helpers_collection import collection
from helpers_faults import LITE0, cut, mounted, read_only, tagkin, wrong

from tagkin.checking.kinds import kind_of
from tagkin.checking.tables import check_table
from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.tagger import tagger_names

pytestmark = pytest.mark.fault


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 mebibytes."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m") as folder:
        yield folder


class Ballast:
    """Fills a disk but for some bytes."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"

    def leave(self, free: int) -> None:
        self._file.unlink(missing_ok=True)
        size = shutil.disk_usage(self._file.parent).free - free
        assert size > 0
        with self._file.open("wb") as file:
            while size > 0:
                size -= file.write(bytes(min(size, 2**20)))

    def remove(self) -> None:
        self._file.unlink()


def refused(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """Runs a command that must end with a message about the disk, and without a traceback."""
    told = tagkin(*arguments, env=env, expected=2).stderr
    assert any(word in told.lower() for word in ("space", "room", "disk")), told
    return told


def test_prepare_on_a_full_disk(disk: Path, tmp_path: Path) -> None:
    source = collection(tmp_path / "pictures", 30)
    library = disk / "library"
    tagkin("prepare", collection(tmp_path / "first", 5, start=100), "--library", library)
    before = Library.open(library).images()
    ballast = Ballast(disk)
    for free in (0, 8_192, 40_000):
        ballast.leave(free)
        refused("prepare", source, "--library", library)
        assert wrong(library) == []
        now = {row.id for row in Library.open(library).images()}
        assert {row.id for row in before} <= now
    ballast.remove()
    tagkin("prepare", source, "--library", library)
    assert wrong(library) == []
    assert len(Library.open(library).images()) == 35


def test_train_decide_and_repair_on_a_full_disk(disk: Path, demo_library: Demo) -> None:
    library = disk / "library"
    shutil.copytree(demo_library.path, library, ignore=shutil.ignore_patterns("taggers"))
    tags = [tag for tag, _ in demo_library.library.tag_counts().most_common(3)]
    commands: list[tuple[str | Path, ...]] = [
        ("train", "--library", library),
        ("variants", "merge", *tags[:2], "--library", library),
    ]
    ballast = Ballast(disk)
    ballast.leave(4096)
    for command in commands:
        refused(*command, env={"TAGKIN_MAX_EPOCHS": "2"})
    # What it found is shown all the same.
    assert "space" in tagkin("variants", "--library", library).stderr
    opened = Library.open(library)
    assert wrong(library) == []
    assert opened.decisions() == []
    assert tagger_names(opened.taggers_path) == []

    # A repair that finds no room changes nothing.
    table = library / f"vectors-{demo_library.config.fingerprint}.lance"
    damaged = min((table / "data").iterdir())
    cut(damaged)
    ballast.leave(0)
    refused("check", "--repair", "--library", library)
    assert [one.part for one in wrong(library)] == ["vectors"]

    ballast.remove()
    tagkin("check", "--repair", "--library", library)
    tagkin("embed", "--library", library)
    for command in commands:
        tagkin(*command, env={"TAGKIN_MAX_EPOCHS": "2"})
    assert wrong(library) == []
    assert len(Library.open(library).vector_ids(demo_library.config.fingerprint)) == len(
        opened.images()
    )


def test_the_cache_on_a_full_disk(disk: Path, demo_copy: Demo) -> None:
    ballast = Ballast(disk)
    ballast.leave(100_000)
    shutil.rmtree(next(demo_copy.path.glob("vectors-*")))
    env = {"TAGKIN_CACHE_DIR": str(disk / "cache")}
    refused("embed", "--library", demo_copy.path, *LITE0, env=env)
    assert wrong(demo_copy.path, disk / "cache") == []
    ballast.remove()
    tagkin("embed", "--library", demo_copy.path, *LITE0, env=env)
    assert wrong(demo_copy.path, disk / "cache") == []


def test_a_library_that_cannot_be_written(demo_copy: Demo, tmp_path: Path) -> None:
    library = demo_copy.path
    source = collection(tmp_path / "pictures", 5)
    image = next(source.glob("*.png"))
    tags = [tag for tag, _ in demo_copy.library.tag_counts().most_common(3)]
    other = ("--model", "efficientnet-lite0", "--precision", "f32", "--fit", "crop")
    before = sorted(path.relative_to(library) for path in library.rglob("*"))
    with read_only(library):
        for writes in (
            ("prepare", source),
            ("embed", *other),
            ("train",),
            ("variants", "merge", *tags[:2]),
            ("check", "--repair"),
        ):
            told = tagkin(*writes, "--library", library, expected=2).stderr
            assert "read-only" in told.lower(), told
        for reads in (
            ("check",),
            ("predict", image),
            ("similar", image),
            ("embed",),
            ("variants",),
            ("variants", "list"),
        ):
            tagkin(*reads, "--library", library, env={"TAGKIN_MAX_EPOCHS": "2"})
    assert sorted(path.relative_to(library) for path in library.rglob("*")) == before
    assert wrong(library) == []
    tagkin("variants", "merge", *tags[:2], "--library", library)


def test_what_may_not_be_read_is_no_damage(demo_library: Demo) -> None:
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        library = Path(name) / "library"
        shutil.copytree(demo_library.path, library)
        Path(name).chmod(0o755)
        table = library / f"vectors-{demo_library.config.fingerprint}.lance"
        min((table / "data").iterdir()).chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(LibraryError, match="a user who may read"):
                check_table(library, table, kind_of(table), lambda: lambda rows: None, repair=True)
        finally:
            os.seteuid(0)
    assert wrong(demo_library.path) == []
