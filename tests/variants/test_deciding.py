"""Decisions on tags, checked against the library and against each other."""

from pathlib import Path

import pytest

from tagkin.decisions import Decision, Link, accepted_merges, links
from tagkin.errors import DecisionError, ExchangeError, LibraryError, UnknownTagError
from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings
from tagkin.variants import Proposals, TagGroup, TagPair
from tagkin.variants.deciding import TagDecisions
from tagkin.variants.proposals import group_id
from tagkin.variants.stored import load_proposals, save_proposals

SETTINGS = Settings(aliases={"kitty": "cat"})
TAGS = ("cat", "cats", "Catz", "dog", "dogs", "bird", "kitten", "-wing", "a, b")


def group(*members: str, tier: str = "suggested") -> TagGroup:
    counts = dict.fromkeys(members, 3)
    return TagGroup(group_id(members), members[0], members, counts, tier)  # type: ignore[arg-type]


CATS = group("cat", "cats", "catz", tier="safe")
DOGS = group("dog", "dogs", tier="safe")
MIXED = group("bird", "dog")
PROPOSALS = Proposals(
    "evidence",
    (CATS, DOGS, MIXED),
    (
        TagPair("cat", "cats", "variant", 0.9, {"spelling": "plural"}),
        TagPair("cat", "catz", "variant", 0.7, {"spelling": "typo"}),
        TagPair("bird", "dog", "variant", 0.6, {}),
    ),
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.create_or_open(tmp_path / "library")
    rows = [
        ImageRow(f"{n:032x}", (ImageFile(Path(f"/{n}"), TAGS[: n + 1], 1, 1),), 1, 1, "png", 1, 0)
        for n in range(len(TAGS))
    ]
    library.upsert_images(rows)
    save_proposals(library, PROPOSALS)
    return library


def decide(library: Library) -> TagDecisions:
    return TagDecisions(library, SETTINGS)


def merged(library: Library) -> dict[str, str]:
    return accepted_merges(library.decisions())


# Proposals


def test_proposals_are_kept_as_they_were(library: Library) -> None:
    assert load_proposals(library) == PROPOSALS
    (library.path / "proposals.json").write_text("[1")
    with pytest.raises(LibraryError, match="tagkin variants"):
        load_proposals(library)


def test_without_proposals_the_search_is_named(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="run 'tagkin variants' first"):
        decide(Library.create_or_open(tmp_path / "new")).accept_safe()


# Accepting


def test_a_group_is_accepted_by_its_id_or_a_tag(library: Library) -> None:
    (one,) = decide(library).accept([CATS.id]).decisions
    assert (one.kind, one.canonical, set(one.tags)) == ("merge", "cat", {"cat", "cats", "catz"})
    assert one.probability == 0.7, "the least sure of its pairs"
    assert "plural" in one.evidence
    assert "typo" in one.evidence
    decide(library).accept(["DOGS"])
    assert merged(library) == {"cats": "cat", "catz": "cat", "dogs": "dog"}


def test_several_groups_are_accepted_at_once_each_once(library: Library) -> None:
    assert len(decide(library).accept([CATS.id, "dogs", "cats"]).decisions) == 2


def test_another_member_can_be_kept(library: Library) -> None:
    decide(library).accept(["cats"], canonical="Cats")
    assert merged(library) == {"cat": "cats", "catz": "cats"}
    decide(library).accept(["cats"], canonical="catz")  # on second thoughts
    assert merged(library) == {"cat": "catz", "cats": "catz"}


def test_safe_groups_are_accepted_unless_decided_otherwise(library: Library) -> None:
    decide(library).reject(["dog", "dogs"])
    done = decide(library).accept_safe()
    assert [one.canonical for one in done.decisions] == ["cat"]
    assert "decision 1 says that 'dog' and 'dogs' are different" in done.skipped[0]
    again = decide(library).accept_safe()
    assert again.decisions == ()
    assert any("one tag already" in text for text in again.skipped)


def test_an_accepted_group_stays_open_for_tags_merged_elsewhere(library: Library) -> None:
    decide(library).merge(["catz", "cats"], canonical="cats")
    decide(library).accept([CATS.id])
    assert set(merged(library).values()) == {"cat"}


@pytest.mark.parametrize(
    ("groups", "canonical", "expected"),
    [
        (["nothing"], None, "no proposed group"),
        (["dog"], None, f"several groups.*{DOGS.id}"),
        ([CATS.id, DOGS.id], "cat", "one group at a time"),
        ([CATS.id], "dog", "not in the group.*tagkin variants merge"),
    ],
)
def test_mistakes_in_accepting(
    library: Library, groups: list[str], canonical: str | None, expected: str
) -> None:
    with pytest.raises(DecisionError, match=expected):
        decide(library).accept(groups, canonical=canonical)
    assert library.decisions() == []


# Merging, rejecting, implying


def test_tags_that_nobody_proposed_are_merged_into_the_most_frequent(library: Library) -> None:
    (one,) = decide(library).merge(["kitten", "-wing", "bird"]).decisions
    assert (one.canonical, one.evidence, one.probability) == ("bird", "", None)


def test_a_merge_may_have_a_new_name_and_says_so(library: Library) -> None:
    done = decide(library).merge(["bird"], canonical="Bird of Prey")
    assert merged(library) == {"bird": "bird of prey"}
    assert done.notes == ("no image carries 'bird of prey' so far: it is a new tag",)


def test_aliases_come_before_decisions(library: Library) -> None:
    decide(library).merge(["Kitty", "kitten"], canonical="kitten")
    assert merged(library) == {"cat": "kitten"}


def test_rejecting_keeps_the_highest_probability(library: Library) -> None:
    (one,) = decide(library).reject_group(CATS.id).decisions
    assert (one.tags, one.probability) == (("cat", "cats", "catz"), 0.9)
    with pytest.raises(DecisionError, match=r"decision 1 says.*undo 1"):
        decide(library).accept([CATS.id])
    with pytest.raises(DecisionError, match="undo 1"):
        decide(library).merge(["cats", "catz"])
    assert "decided already, by number 1" in decide(library).reject(["catz", "cat"]).skipped[0]


def test_a_rejection_is_taken_again_when_the_pair_came_back(library: Library) -> None:
    decide(library).reject(["bird", "dog"])
    pair = TagPair("bird", "dog", "variant", 0.99, {})
    save_proposals(library, Proposals("evidence", (MIXED,), (pair,)))
    (again,) = decide(library).reject_group("bird").decisions
    assert again.probability == 0.99


def test_what_is_merged_cannot_be_rejected_or_implied(library: Library) -> None:
    decide(library).merge(["cats", "cat"])
    for attempt in (
        lambda: decide(library).reject(["cat", "cats"]),
        lambda: decide(library).reject_group("cats"),
        lambda: decide(library).imply("cats", "cat"),
        lambda: decide(library).relate("cat", "cats"),
    ):
        with pytest.raises(DecisionError, match=r"merged into one tag by decision 1.*undo 1"):
            attempt()
    assert len(library.decisions()) == 1


def test_implied_and_related_tags(library: Library) -> None:
    done = decide(library).imply("kitten", "animal")
    assert (done.decisions[0].tags, len(done.notes)) == (("kitten", "animal"), 1)
    decide(library).imply("kitten", "cat")
    decide(library).relate("bird", "-wing")
    assert decide(library).relate("-wing", "bird").decisions == ()
    assert decide(library).imply("kitten", "cat").decisions == ()
    assert decide(library).imply("cat", "kitten").decisions, "the other way round is another"
    with pytest.raises(DecisionError, match="undo 2"):
        decide(library).merge(["kitten", "cat"])


@pytest.mark.parametrize(
    ("attempt", "error", "expected"),
    [
        (lambda d: d.merge(["brid", "dog"]), UnknownTagError, "did you mean 'bird'"),
        (lambda d: d.merge(["dog"]), DecisionError, "two different tags"),
        (lambda d: d.merge(["dog", "DOG"]), DecisionError, "two different tags"),
        (lambda d: d.merge(["dog", " "]), DecisionError, "empty"),
        (lambda d: d.merge(["dog"], canonical=" "), DecisionError, "empty"),
        (lambda d: d.reject(["dog", "Dog"]), DecisionError, "one tag"),
        (lambda d: d.reject(["dog", "xyz"]), UnknownTagError, "no image carries"),
        (lambda d: d.imply("animal", "cat"), UnknownTagError, "no image carries"),
        (lambda d: d.imply("cat", ""), DecisionError, "empty"),
        (lambda d: d.relate("kitty", "cat"), DecisionError, "one tag"),
        (lambda d: d.undo(), DecisionError, "no decision to undo"),
        (lambda d: d.undo([1]), DecisionError, "no decision number 1"),
    ],
)
def test_mistakes_store_nothing(
    library: Library, attempt: object, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        attempt(decide(library))  # type: ignore[operator]
    assert library.decisions() == []


# Undoing


def test_undo_takes_the_last_in_force_and_can_be_undone(library: Library) -> None:
    decide(library).accept_safe()
    assert decide(library).undo().decisions[0].undoes == 2
    assert decide(library).undo().decisions[0].undoes == 1
    with pytest.raises(DecisionError, match="no decision to undo"):
        decide(library).undo()
    with pytest.raises(DecisionError, match="undone by number 3"):
        decide(library).undo([2])
    decide(library).undo([3, 4])
    assert len(merged(library)) == 3


# Importing


def link(line: int, kind: str, tag: str, other: str) -> Link:
    return Link(kind, tag, other, line)  # type: ignore[arg-type]


def test_an_import_adds_what_is_new_and_skips_the_rest(library: Library) -> None:
    decide(library).merge(["cats", "cat"])
    decide(library).reject(["bird", "dog"])
    read = [
        link(2, "merge", "CATS", "Cat"),
        link(3, "merge", "unheard of", "cat"),
        link(4, "reject", "dog", "bird"),
        link(5, "imply", "cats", "animal"),
        link(6, "merge", "Cat", "cat"),
        link(7, "imply", "cats", "animal"),
    ]
    done = decide(library).import_links(read)
    assert [(one.kind, one.tags) for one in done.decisions] == [
        ("merge", ("unheard of", "cat")),
        ("imply", ("cats", "animal")),
    ]
    assert [text.split(":")[0] for text in done.skipped] == ["line 2", "line 4", "line 6"]
    again = decide(library).import_links(read)
    assert again.decisions == ()
    assert len(again.skipped) == 6


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ([link(2, "merge", "cats", "dog")], r"line 2.*'cats' is merged into 'cat' by decision 1"),
        ([link(2, "merge", "bird", "dog")], r"line 2.*decision 2"),
        ([link(3, "reject", "cats", "cat")], r"line 3.*merged into one tag"),
        (
            [link(2, "merge", "a", "b"), link(3, "merge", "a", "c")],
            r"line 3: 'a' goes to 'c'.*line 2",
        ),
        ([link(2, "merge", "a", "b"), link(3, "merge", "b", "a")], r"line 3.*circle"),
        ([link(2, "merge", "a", "b"), link(3, "reject", "a", "b")], r"line 2.*line 3"),
        ([link(2, "merge", " ", "b")], "line 2: a tag is empty"),
    ],
)
def test_an_import_that_contradicts_something_is_refused_whole(
    library: Library, read: list[Link], expected: str
) -> None:
    decide(library).merge(["cats", "cat"])
    decide(library).reject(["bird", "dog"])
    with pytest.raises(ExchangeError, match=f"{expected}.*Nothing was imported"):
        decide(library).import_links([link(1, "imply", "kitten", "cat"), *read])
    assert len(library.decisions()) == 2


def test_an_import_of_an_export_gives_the_same_names(library: Library, tmp_path: Path) -> None:
    d = decide(library)
    for tags, canonical in ((["cats", "cat"], "cat"), (["cat", "kitten"], "kitten")):
        d = decide(library)
        d.merge(tags, canonical=canonical)
    decide(library).imply("kitten", "animal")
    decide(library).reject(["dog", "dogs"])
    written = links(library.decisions())
    other = Library.create_or_open(tmp_path / "other")
    stored: tuple[Decision, ...] = decide(other).import_links(written).decisions
    assert accepted_merges(other.decisions()) == merged(library)
    assert [one.when for one in stored] == [link.when for link in written]
    assert decide(other).import_links(written).decisions == ()
