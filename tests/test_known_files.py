"""What a library knows of its files, compactly."""

import os
from pathlib import Path

import numpy as np
import pytest

from tagkin.known_files import KnownFiles, id_numbers
from tagkin.library import Library
from tagkin.records import ID_TYPE, ImageFile, ImageRow

SOURCE = Path("/pictures")
ODD = Path(os.fsdecode(b"/pictures/latin \xe9, \xf0\x9f\x90\x88.png"))


def row(number: int, *files: ImageFile) -> ImageRow:
    return ImageRow(f"{number:032x}", files, 1, 1, "png", 1, 0)


@pytest.fixture
def known(tmp_path: Path) -> KnownFiles:
    library = Library.create_or_open(tmp_path / "library")
    weighted = ImageFile(Path("/pictures/b.png"), ("x", "y"), 20, 200, (0.5, 1.0), SOURCE)
    gone = ImageFile(Path("/pictures/gone.png"), ("x",), 30, 300, (), SOURCE, missing=True)
    other = ImageFile(Path("/elsewhere/c.png"), ("x",), 40, 400, (), Path("/elsewhere"))
    library.upsert_images(
        [
            row(1, ImageFile(ODD, ("x", "ÿ|,"), 10, 100, (), SOURCE), weighted),
            row(2),
            row(3, gone, other),
        ]
    )
    return KnownFiles(library.image_table(), SOURCE)


def test_files_are_found_by_their_path(known: KnownFiles) -> None:
    assert known.find(Path("/pictures/new.png")) == -1
    assert known.image(known.find(ODD)) == f"{1:032x}"
    assert known.image(known.find(Path("/elsewhere/c.png"))) == f"{3:032x}"
    assert known.has_content(known.find(ODD), 10, 100)
    assert not known.has_content(known.find(ODD), 10, 101)
    assert not known.has_content(known.find(ODD), 11, 100)


def test_tags_are_compared_with_those_that_this_source_gave(known: KnownFiles) -> None:
    place = known.find(ODD)
    assert known.has_tags(place, ("x", "ÿ|,"), ())
    for tags in (("ÿ|,", "x"), ("x",), ("x", "new"), ()):
        assert not known.has_tags(place, tags, ())
    weighted = known.find(Path("/pictures/b.png"))
    assert known.has_tags(weighted, ("x", "y"), (0.5, 1.0))
    assert not known.has_tags(weighted, ("x", "y"), (0.25, 1.0))
    assert not known.has_tags(weighted, ("x", "y"), ())
    # Its tags are as they were, but it is back.
    assert not known.has_tags(known.find(Path("/pictures/gone.png")), ("x",), ())
    assert not known.has_tags(known.find(Path("/elsewhere/c.png")), ("x",), ())


def test_what_the_source_names_is_noted(known: KnownFiles) -> None:
    new = Path("/pictures/new.png")
    for before in (False, True):
        assert known.see(ODD, known.find(ODD)) is before
        assert known.see(new, known.find(new)) is before
    assert known.was_seen(ODD)
    assert known.was_seen(new)
    assert not known.was_seen(Path("/pictures/b.png"))
    assert (known.seen, known.added) == (2, 1)
    assert known.images_of_unseen().tolist() == [f"{n:032x}".encode() for n in (1, 3)]


def test_images_are_known_by_their_ids(known: KnownFiles) -> None:
    assert known.has_image(f"{2:032x}")
    assert not known.has_image("f" * 32)
    ids = np.array(["f" * 32, f"{3:032x}"], ID_TYPE)
    assert known.had_images(ids).tolist() == [False, True]
    digits = "0123456789abcdef"
    assert id_numbers(np.array([digits * 2], ID_TYPE)).tolist() == [int(digits, 16)]


def test_a_library_without_images() -> None:
    known = KnownFiles(None, SOURCE)
    assert (known.find(ODD), known.has_image("f" * 32), known.seen) == (-1, False, 0)
    assert known.had_images(np.array(["f" * 32], ID_TYPE)).tolist() == [False]
    assert known.images_of_unseen().tolist() == []
