"""Groups of near-duplicates and which to keep."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Demo

from tagkin.duplicates import duplicate_groups
from tagkin.errors import SettingsError
from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow


def row(number: int, phash: int, **changes: object) -> ImageRow:
    file = ImageFile(Path(f"{number}.jpg"), (), 100, 1)
    made = ImageRow(f"{number:032x}", (file,), 10, 10, "jpeg", 1, phash, f"g{phash}", None)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    opened = Library.create_or_open(tmp_path / "library")
    big = ImageFile(Path("5.jpg"), ("tag",), 900, 1)
    opened.upsert_images(
        [
            row(0, 0b0),
            row(1, 0b0, width=20),
            row(2, 0b0, format="png"),
            row(3, 0b111),
            row(4, 0xFFFF0000),
            row(5, 0xFFFF0000, files=(big,)),
            row(6, 0xFFFF0000, files=()),
        ]
    )
    return opened


def numbers(library: Library, distance: int | None = None) -> list[list[int]]:
    groups = duplicate_groups(library, distance)
    return [[int(image.id, 16) for image in group.images] for group in groups]


def test_the_largest_comes_first(library: Library) -> None:
    assert numbers(library) == [[1, 0, 2], [5, 4]]
    reasons = [group.reason for group in duplicate_groups(library)]
    assert reasons == ["most pixels", "largest file"]


def test_another_distance_makes_other_groups(library: Library) -> None:
    assert numbers(library, 0) == [[1, 0, 2], [5, 4]]
    assert numbers(library, 3) == [[1, 0, 2, 3], [5, 4]]


def test_a_distance_out_of_range_is_said(library: Library) -> None:
    with pytest.raises(SettingsError, match="0 to 15"):
        list(duplicate_groups(library, 16))


def test_an_empty_library(tmp_path: Path) -> None:
    assert numbers(Library.create_or_open(tmp_path / "new")) == []


def test_the_groups_of_prepare(demo_library: Demo) -> None:
    rows = [r for r in demo_library.library.images() if r.files]
    by_group: dict[str | None, list[str]] = {}
    for r in rows:
        by_group.setdefault(r.group, []).append(r.id)
    expected = sorted(sorted(ids) for ids in by_group.values() if len(ids) > 1)
    found = sorted(sorted(i.id for i in g.images) for g in duplicate_groups(demo_library.library))
    assert found == expected
