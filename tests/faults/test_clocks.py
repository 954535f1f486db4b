"""A clock that jumps: nothing relies on the order of times."""

import os
import time
from pathlib import Path

import pytest
from helpers_collection import collection
from helpers_faults import LITE0, tagkin, wrong

from tagkin.library import Library

pytestmark = pytest.mark.fault

_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@pytest.mark.parametrize("jumps", [(-400, 400, -9000)])
def test_days_between_the_commands(tmp_path: Path, jumps: tuple[int, ...]) -> None:
    if not _FAKETIME:
        pytest.skip("needs libfaketime")
    library = tmp_path / "library"
    source = collection(tmp_path / "pictures", 40)

    def at(days: int, *arguments: str | Path) -> str:
        fake = {
            "LD_PRELOAD": str(_FAKETIME[0]),
            "FAKETIME": f"{days:+}d",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return tagkin(*arguments, "--library", library, env=fake).stdout

    first, second, third = jumps
    few = ("--min-tag-occurrences", "2")
    at(first, "prepare", source, *few)
    at(second, "embed", *LITE0)
    for place, days in enumerate((first, third, second, 0, third)):
        at(days, "variants", "related", f"tag {place}", f"tag {(place + 1) % 5}")
    collection(tmp_path / "pictures", 10, start=40)
    at(third, "prepare", source, *few)
    at(first, "embed")
    at(third, "check", "--repair")
    assert wrong(library) == []
    opened = Library.open(library)
    assert len(opened.images()) == 50
    assert len(opened.vector_ids(opened_fingerprint(opened))) == 50
    decisions = opened.decisions()
    assert [one.number for one in decisions] == list(range(1, len(decisions) + 1))
    times = [one.when for one in decisions]
    assert times != sorted(times)  # the clock did jump


def opened_fingerprint(library: Library) -> str:
    from tagkin.backbones import BackboneConfig

    assert library.state.active_backbone is not None
    return BackboneConfig.from_dict(library.state.active_backbone).fingerprint


@pytest.mark.parametrize("days", [-20_000, -1, 1, 20_000])
def test_all_files_of_a_library_are_from_another_time(tmp_path: Path, days: int) -> None:
    library = tmp_path / "library"
    source = collection(tmp_path / "pictures", 40)
    tagkin("prepare", source, "--library", library)
    rows = Library.open(library).images()
    when = time.time() + days * 86400
    for path in [*library.rglob("*"), library]:
        os.utime(path, (max(0, when), max(0, when)))
    assert wrong(library) == []
    opened = Library.open(library)
    for place in range(60):  # old versions are dropped on the way
        opened.upsert_images(rows[place % 40 :][:1])
    tagkin("check", "--repair", "--library", library)
    assert Library.open(library).images() == rows
