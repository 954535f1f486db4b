"""Tags as arrays: the same as those of the rows, one by one."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.splits import SPLITS
from tagkin.tag_edits import EditedTags, NewTagEdit
from tagkin.tagged_images import ResolvedTags, TaggedImages
from tagkin.variants.incidence import build_incidence, incidence_of
from tagkin.vocabulary import TagRules

RULES = TagRules(
    aliases={"kitty": "cat"},
    merges={"hound": "dog"},
    implications=[("cat", "animal"), ("dog", "animal"), ("animal", "thing")],
)

raw_tags = st.sampled_from(["cat", "Cat", "KITTY", "dog", "hound", "animal", " ", "tree", "ﬁ", ""])
weights = st.sampled_from([0.25, 0.5, 1.0])
files = st.lists(st.dictionaries(raw_tags, weights, max_size=6), max_size=3)
collections = st.lists(st.tuples(files, st.sampled_from([None, *SPLITS])), max_size=8)


def rows_of(images: list[tuple[list[dict[str, float]], str | None]]) -> list[ImageRow]:
    return [
        ImageRow(
            id=f"{(number * 7919) % 1009:032x}",
            files=tuple(
                ImageFile(Path(f"/{number}-{place}.png"), (), 1, 1).with_tags(tags)
                for place, tags in enumerate(files)
            ),
            width=1,
            height=1,
            format="png",
            frames=1,
            phash=number,
            split=split,  # type: ignore[arg-type]
        )
        for number, (files, split) in enumerate(images)
    ]


def as_dicts(images: TaggedImages, resolved: ResolvedTags) -> dict[str, dict[str, float]]:
    labels = resolved.labels.toarray()
    return {
        image.decode(): {
            tag: float(labels[place, column])
            for column, tag in enumerate(resolved.names)
            if labels[place, column]
        }
        for place, image in enumerate(images.ids.tolist())
    }


@given(collections)
def test_tags_and_weights_are_those_of_the_rows(
    images: list[tuple[list[dict[str, float]], str | None]],
) -> None:
    rows = [row for row in rows_of(images) if row.files]
    found = TaggedImages.of(rows_of(images))
    assert [image.decode() for image in found.ids] == sorted(row.id for row in rows)
    resolved = found.resolved(RULES)
    assert as_dicts(found, resolved) == {row.id: RULES.resolve_weighted(row) for row in rows}
    assert resolved.counts() == Counter(t for r in rows for t in RULES.resolve_all(r.tags))
    for split in SPLITS:
        there = [found.ids[place].decode() for place in found.places_of(split)]
        assert there == sorted(row.id for row in rows if row.split == split)


@given(collections, st.integers(1, 3))
def test_variants_see_the_same_tags_either_way(
    images: list[tuple[list[dict[str, float]], str | None]], least: int
) -> None:
    found = TaggedImages.of(rows_of(images))
    rows = sorted((row for row in rows_of(images) if row.files), key=lambda row: row.id)
    expected = build_incidence([RULES.resolve_all(row.tags) for row in rows], least)
    got = incidence_of(found.resolved(RULES), least)
    assert got.names == expected.names
    assert got.counts.tolist() == expected.counts.tolist()
    assert got.by_image.toarray().tolist() == expected.by_image.toarray().tolist()
    assert got.by_tag.toarray().tolist() == expected.by_tag.toarray().tolist()


def test_a_library_gives_what_its_rows_give_after_edits(tmp_path: Path) -> None:
    plain = [{"cat": 1.0, "tree": 1.0}]
    weighted = [{"kitty": 0.5, "Cat": 0.25}, {"dog": 0.5}]
    rows = rows_of(
        [(plain, "train"), (weighted, "test"), ([], "train"), (plain, None), ([{}], None)]
    )
    library = Library.create_or_open(tmp_path / "library")
    library.upsert_images(rows)
    assert not len(TaggedImages.read(None, EditedTags(())))
    library.edit_tags(
        [NewTagEdit("remove", rows[0].id, "cat"), NewTagEdit("add", rows[1].id, "new")]
    )
    edits = EditedTags(library.tag_edits(), RULES)
    read = TaggedImages.read(library.image_table(), edits)
    held = TaggedImages.of(rows, edits)
    assert read.ids.tolist() == held.ids.tolist()
    assert read.splits.tolist() == held.splits.tolist()
    found = as_dicts(read, read.resolved(RULES))
    assert found == as_dicts(held, held.resolved(RULES))
    assert found[rows[0].id] == {"tree": 1.0}
    assert found[rows[1].id] == {"cat": 0.5, "dog": 0.5, "animal": 0.5, "thing": 0.5, "new": 1.0}
    some = read.some(np.array([0, 2]))
    assert as_dicts(some, some.resolved(RULES)) == {
        image.decode(): found[image.decode()] for image in some.ids
    }
