"""Records against files, and vectors against records."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers_checking import BACKBONE, check, findings, make_library, mend, settings_of
from helpers_collection import picture
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tagkin.backbones import BackboneConfig
from tagkin.checking.vector_rows import useless_vectors
from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.records import IMAGES, vector_schema
from tagkin.sources import open_source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_library(tmp_path)


@pytest.fixture
def pictures(path: Path) -> list[Path]:
    return sorted((path.parent / "pictures").glob("*.png"))


def prepare_again(path: Path) -> None:
    prepare(Library.open(path), open_source(path.parent / "pictures"), settings_of(path))


def test_a_file_that_is_gone_is_marked_as_missing(path: Path, pictures: list[Path]) -> None:
    pictures[0].unlink()
    (found,) = findings(path)
    assert (found.level, found.count, found.examples) == ("change", 1, (str(pictures[0]),))
    mend(path)
    missing = [f.path for row in Library.open(path).images() for f in row.files if f.missing]
    assert missing == [pictures[0]]
    (note,) = check(path).findings
    assert (note.level, note.count) == ("note", 1)


def test_a_drive_that_is_away_marks_nothing(path: Path, pictures: list[Path]) -> None:
    away = path.parent / "away"
    pictures[0].parent.rename(away)
    (found,) = findings(path, repair=True)
    assert (found.count, found.repaired) == (24, None)
    assert "drive" in found.advice
    away.rename(pictures[0].parent)
    assert check(path).clean


def test_a_file_that_changed_is_for_prepare(path: Path, pictures: list[Path]) -> None:
    picture(99).save(pictures[3])
    (found,) = findings(path, repair=True)
    assert (found.level, found.repaired) == ("change", None)
    prepare_again(path)
    assert check(path).clean


def test_content_that_changed_unseen_is_found_by_reading(path: Path, pictures: list[Path]) -> None:
    status = pictures[5].stat()
    content = bytearray(pictures[5].read_bytes())
    content[-20] ^= 1
    pictures[5].write_bytes(content)
    os.utime(pictures[5], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert check(path).clean
    (found,) = findings(path, content=True)
    assert found.examples == (str(pictures[5]),)
    assert findings(path, content=True, repair=True)[0].repaired
    pictures[5].write_bytes(picture(5).tobytes() and _png(5))
    prepare_again(path)
    assert check(path, content=True).clean


def _png(seed: int) -> bytes:
    from helpers_collection import encode

    return encode(picture(seed))


@pytest.mark.parametrize("years", [-50, 30])
def test_times_far_from_now_mean_nothing(path: Path, pictures: list[Path], years: int) -> None:
    when = pictures[0].stat().st_mtime + years * 365 * 86400
    for file in pictures:
        os.utime(file, (when, when))
    prepare_again(path)
    assert check(path, content=True).clean
    library = Library.open(path)
    assert len(library.images()) == 24


def test_vectors_that_cannot_be_used_are_deleted(path: Path) -> None:
    library = Library.open(path)
    bad = ["e" * 32, "f" * 32]
    values = np.zeros((2, 8), np.float32)
    values[1, 3] = np.nan
    library.add_vectors("f", bad, values)
    (found,) = mend(path)
    assert (found.part, found.count, set(found.examples)) == ("vectors", 2, set(bad))
    assert len(Library.open(path).vectors("f")[0]) == 24


def test_vectors_of_another_length_are_put_aside(path: Path) -> None:
    config = BackboneConfig.from_dict(BACKBONE)
    library = Library.open(path)
    library.update_state(active_backbone=config.to_dict())
    ids = [row.id for row in library.images()]
    library.add_vectors(config.fingerprint, ids, np.ones((24, 5), np.float32))
    (found,) = findings(path)
    assert "5 numbers" in found.what
    mend(path)
    assert not (path / f"vectors-{config.fingerprint}.lance").exists()


def test_what_is_missing_or_left_over_is_told(path: Path) -> None:
    config = BackboneConfig.from_dict(BACKBONE)
    library = Library.open(path)
    library.update_state(active_backbone=config.to_dict())
    ids = [row.id for row in library.images()]
    library.add_vectors(config.fingerprint, [*ids[:20], "e" * 32], np.ones((21, 8), np.float32))
    report = check(path)
    assert report.clean
    assert sorted((one.count, one.what[:7]) for one in report.findings) == [
        (1, "vectors"),
        (4, "images "),
    ]


@settings(deadline=None)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(0, 5), st.integers(1, 6))))
def test_a_vector_is_useless_if_it_is_not_finite_or_zero(bits: "np.ndarray") -> None:
    vectors = bits.view(np.float16)
    expected = ~np.isfinite(vectors).all(axis=1) | (vectors == 0).all(axis=1)
    np.testing.assert_array_equal(useless_vectors(vectors), expected)


def test_an_empty_library_is_clean(tmp_path: Path) -> None:
    Library.create_or_open(tmp_path / "library")
    assert check(tmp_path / "library").clean
    LanceTable(tmp_path / "library" / "images.lance", IMAGES).make()
    LanceTable(tmp_path / "library" / "vectors-f.lance", vector_schema(8)).make()
    assert check(tmp_path / "library").clean


def test_vectors_without_a_table_of_images(path: Path) -> None:
    shutil.rmtree(path / "images.lance")
    (found,) = findings(path, repair=True)
    assert (found.part, found.repaired) == ("images", None)
    prepare_again(path)
    assert check(path).clean
