"""Drives and stores that have gone."""

from pathlib import Path

import pytest

from tagkin.errors import ImageError, LibraryError, UnreachableError
from tagkin.records import Problem
from tagkin.storage_watch import StorageWatch

PATH = Path("/photos/x.jpg")


def test_only_many_in_a_row_end_the_job() -> None:
    watch = StorageWatch()
    late = Problem.late(PATH, 2.5)
    silent = Problem.of(PATH, UnreachableError("the store answers 503"))
    for between in (None, Problem.of(PATH, ImageError("truncated"))):
        for _ in range(9):
            watch.saw(silent)
        watch.saw(between)
    for _ in range(9):
        watch.saw(silent)
    with pytest.raises(LibraryError, match=r"/photos/x.jpg: could not be read within 2.5 seconds"):
        watch.saw(late)


def test_a_kept_problem_is_the_same_problem() -> None:
    assert Problem(PATH, "x", unreachable=True) == Problem(PATH, "x")
