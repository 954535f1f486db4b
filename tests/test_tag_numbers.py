"""Tags as numbers: what the rules say of each image, and how often."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.tag_numbers import NumberCounts, TagNumbers, rows_of
from tagkin.vocabulary import TagRules

RULES = TagRules(
    aliases={"kitty": "cat"}, merges={"hound": "dog"}, implications=[("cat", "pet"), ("dog", "pet")]
)
RAW = st.sampled_from(["Cat", "cat", "kitty", "hound", "dog", "pet", " ", "tree", "ß", "é, x"])
BATCHES = st.lists(st.lists(st.lists(RAW, unique=True), max_size=6), max_size=4)


@settings(deadline=None)
@given(BATCHES)
def test_each_image_has_the_tags_that_the_rules_give_it(batches: list[list[list[str]]]) -> None:
    numbers, counts, raw_counts = TagNumbers(RULES), NumberCounts(2), NumberCounts()
    images = 0
    for batch in batches:
        column = pa.array(batch, pa.list_(pa.string()))
        rows, raw = rows_of(column), numbers.raw(column)
        assert [numbers.raw_tags[n] for n in raw] == [tag for tags in batch for tag in tags]
        of_rows, tags = numbers.resolved(raw, rows)
        found = list(zip(of_rows.tolist(), tags.tolist(), strict=True))
        assert found == sorted(set(found))
        for row, raw_tags in enumerate(batch):
            got = {numbers.names[tag] for of, tag in found if of == row}
            assert got == set(RULES.resolve_all(raw_tags))
        counts.add(tags, (of_rows + images) % 2)
        raw_counts.add(raw)
        images += len(batch)
    every = [tags for batch in batches for tags in batch]
    for kind in range(2):
        expected = Counter(tag for tags in every[kind::2] for tag in RULES.resolve_all(tags))
        table = counts.table(len(numbers.names))[:, kind].tolist()
        assert +Counter(dict(zip(numbers.names, table, strict=True))) == expected
    table = raw_counts.table(len(numbers.raw_tags)).ravel().tolist()
    assert dict(zip(numbers.raw_tags, table, strict=True)) == Counter(
        tag for tags in every for tag in tags
    )


def test_a_slice_of_a_column() -> None:
    numbers = TagNumbers(TagRules())
    column = pa.array([["a"], [], ["b", "a"]], pa.list_(pa.string())).slice(1)
    assert rows_of(column).tolist() == [1, 1]
    assert [numbers.raw_tags[n] for n in numbers.raw(column)] == ["b", "a"]
    assert NumberCounts(3).table(2).shape == (2, 3)
    assert not np.any(NumberCounts(3).table(2))
