"""Rows of the library: tags with weights, of one file and of several."""

from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.records import ID_TYPE, ImageFile, ImageRow, to_ids

FILE = ImageFile(Path("a"), (), 1, 1)
WEIGHTED = st.dictionaries(st.text(max_size=4), st.floats(0, 1), max_size=5)


def row(*files: ImageFile) -> ImageRow:
    return ImageRow("0" * 32, files, 1, 1, "png", 1, 0)


def test_tags_without_weights_weigh_one() -> None:
    file = ImageFile(Path("a"), ("x", "y"), 1, 1)
    assert file.weighted_tags == {"x": 1.0, "y": 1.0}
    assert row(file).weights == {}


def test_only_weights_below_one_are_told() -> None:
    file = FILE.with_tags({"x": 0.5, "y": 1.0, "z": 0})
    assert (file.tags, file.weights) == (("x", "y"), (0.5, 1.0))
    assert row(file).weights == {"x": 0.5}


def test_the_greatest_weight_of_several_files_counts() -> None:
    files = [
        FILE.with_tags({"x": 0.25, "y": 0.5}),
        FILE.with_tags({"y": 0.75, "x": 0.125}),
        FILE.with_tags({"z": 0.5}),
    ]
    assert row(*files).weights == {"x": 0.25, "y": 0.75, "z": 0.5}
    assert row(*files, FILE.with_tags({"x": 1, "y": 1, "z": 1})).weights == {}
    assert row(*files).tags == ("x", "y", "z")


def test_of_a_tag_that_is_there_twice_the_greatest_weight_counts() -> None:
    file = ImageFile(Path("a"), ("x", "y", "x"), 1, 1, (0.25, 1.0, 0.75))
    assert file.weighted_tags == {"x": 0.75, "y": 1.0}


@given(WEIGHTED)
def test_weights_are_rounded_once(weighted: dict[str, float]) -> None:
    file = FILE.with_tags(weighted)
    assert file.with_tags(file.weighted_tags) == file
    assert all(0 < weight <= 1 for weight in file.weighted_tags.values())
    assert not file.weights or len(file.weights) == len(file.tags)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["0" * 32, "f" * 32, "0123456789abcdef" * 2, "short"])))
def test_ids_are_read_from_any_part_of_a_column(ids: list[str]) -> None:
    column = pa.array(["a", *ids, "b"], pa.string()).slice(1, len(ids))
    assert to_ids(column).tolist() == [one.encode() for one in ids]
    assert to_ids(column).dtype == ID_TYPE
