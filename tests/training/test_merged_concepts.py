"""What merges bring together, counted on a handful of images."""

from dataclasses import replace

import pytest
from helpers_merging import rows_of

from tagkin.tagged_images import TaggedImages
from tagkin.training.merged_concepts import MergedConcept, find_merged_concepts
from tagkin.vocabulary import TagRules

IMAGES = [
    ["flag", "sea"],
    ["Flags"],
    ["flags", "flag"],
    ["banner"],
    ["sea"],
    ["ocean", "sea", "Sea"],
    [],
]


def find(merges: dict[str, str], before: TagRules | None = None) -> list[MergedConcept]:
    before = before or TagRules()
    after = replace(before, merges={**before.merges, **merges})
    return find_merged_concepts(TaggedImages.of(rows_of(IMAGES, "t")), before, after)


def test_members_and_images_are_counted_exactly() -> None:
    flag, sea = find({"flags": "flag", "banner": "flags", "ocean": "sea", "lake": "sea"})
    assert (flag.canonical, flag.members) == ("flag", ("flag", "flags", "banner"))
    assert flag.places.tolist() == [0, 1, 2, 3]
    assert (flag.images_before, flag.images_after) == (2, 4)
    assert (sea.canonical, sea.members) == ("sea", ("sea", "ocean"))
    assert sea.places.tolist() == [0, 4, 5]
    assert (sea.images_before, sea.images_after) == (3, 3)


def test_a_new_name_is_gained_from_nothing() -> None:
    (flag,) = find({"flag": "flagge"})
    assert flag.members == ("flag",)
    assert (flag.images_before, flag.images_after) == (0, 2)


def test_what_no_image_carries_or_nobody_wants_is_left_out() -> None:
    assert find({"lake": "pond"}) == []
    assert find({}) == []
    assert find({"flags": "flag"}, TagRules(exclude=("flags",))) == []


def test_only_what_is_new_counts_on_top_of_aliases_and_earlier_merges() -> None:
    before = TagRules(aliases={"banner": "flags"}, merges={"ocean": "sea"})
    (flag,) = find({"flags": "flag"}, before)
    assert flag.members == ("flags", "flag")  # on 3 images and on 2
    assert flag.places.tolist() == [0, 1, 2, 3]


def test_implied_tags_count_as_tags() -> None:
    before = TagRules(implications=[("ocean", "water"), ("banner", "cloth")])
    (water,) = find({"sea": "water"}, before)
    assert water.members == ("sea", "water")
    assert water.places.tolist() == [0, 4, 5]
    assert (water.images_before, water.images_after) == (1, 3)
    (textile,) = find({"cloth": "textile"}, before)  # which is implied only
    assert (textile.members, textile.images_before, textile.images_after) == (("cloth",), 0, 1)


def test_a_tag_that_is_parted_is_no_merge() -> None:
    with pytest.raises(ValueError, match="no merge"):
        find_merged_concepts(
            TaggedImages.of(rows_of(IMAGES, "t")),
            TagRules(merges={"flags": "flag"}),
            TagRules(merges={}),
        )
