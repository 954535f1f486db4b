"""Tags that the owner gave to single images, or took off: replayed, never written over."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Demo, subprocess_environment
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.tag_edits import EditedTags, EditKind, EditLog, NewTagEdit, TagEdit
from tagkin.training.learning_set import LearningSet
from tagkin.variants.deciding import TagDecisions
from tagkin.variants.in_library import find_in_library
from tagkin.vocabulary import TagRules

A, B = "a" * 32, "b" * 32


def replay(*entries: tuple[EditKind, str, str] | int) -> list[TagEdit]:
    """Numbers entries; a number is an undo of that one."""
    return [
        TagEdit(number, "undo", "", "", entry, "2024-01-01T00:00:00+00:00", "owner")
        if isinstance(entry, int)
        else TagEdit(number, *entry, None, "2024-01-01T00:00:00+00:00", "owner")
        for number, entry in enumerate(entries, 1)
    ]


def row(*files: Sequence[str] | dict[str, float], image: str = A) -> ImageRow:
    """An image whose files carry tags, some with weights."""
    made = []
    for number, tags in enumerate(files):
        file = ImageFile(Path(f"/{number}.png"), (), 1, 1)
        weighted = tags if isinstance(tags, dict) else dict.fromkeys(tags, 1.0)
        made.append(file.with_tags(weighted))
    return ImageRow(image, tuple(made), 1, 1, "png", 1, 0)


def test_without_edits_tags_are_as_they_were_read() -> None:
    edited = EditedTags([])
    assert edited.apply(A, ["Cat", "cat", " dog "]) == ("Cat", "cat", " dog ")
    assert not edited and A not in edited and edited.images == ()
    one = row(["cat"])
    assert edited.row(one) is one


def test_spellings_of_one_tag_are_taken_off_together() -> None:
    edited = EditedTags(replay(("remove", A, "CAT")))
    assert edited.apply(A, ["Cat", "dog", "cat ", "ｃａｔ"]) == ("dog",)
    assert edited.apply(B, ["Cat"]) == ("Cat",)
    assert len(edited) == 1 and A in edited


def test_the_rules_of_the_library_say_what_one_tag_is() -> None:
    exact = TagRules(fold_case=False)
    edited = EditedTags(replay(("remove", A, "Cat")), exact)
    assert edited.apply(A, ["Cat", "cat"]) == ("cat",)


def test_what_was_merged_later_stays() -> None:
    edits = replay(("remove", A, "kitty"))
    rules = TagRules(merges={"kitty": "cat"})
    assert rules.resolve_all(EditedTags(edits, rules).apply(A, ["kitty", "cat"])) == ("cat",)


def test_the_last_edit_of_a_tag_counts_and_undo_brings_back() -> None:
    entries: list[tuple[EditKind, str, str] | int] = [
        ("add", A, "new"),
        ("remove", A, "NEW"),
        ("add", A, "other"),
    ]
    assert EditedTags(replay(*entries)).apply(A, ["x"]) == ("x", "other")
    assert EditedTags(replay(*entries, 2)).apply(A, ["x"]) == ("x", "new", "other")
    assert EditedTags(replay(*entries, 2, 4)).apply(A, ["x"]) == ("x", "other")
    last = EditedTags(replay(*entries)).last(A, "New")
    assert last is not None and last.number == 2
    assert [edit.number for edit in EditedTags(replay(*entries)).of(A)] == [2, 3]


def test_a_tag_that_is_there_is_not_added_twice() -> None:
    assert EditedTags(replay(("add", A, "CAT"))).apply(A, ["cat"]) == ("cat",)


def test_an_accepted_tag_is_sure_whatever_was_read() -> None:
    edited = EditedTags(replay(("add", A, "cat"), ("remove", A, "dog"), ("add", A, "new")))
    weighted = edited.apply_weighted(A, {"cat": 0.3, "dog": 0.5, "owl": 0.25})
    assert weighted == {"cat": 1.0, "owl": 0.25, "new": 1.0}


def test_the_files_of_an_image_carry_the_edited_tags() -> None:
    edited = EditedTags(replay(("add", A, "cat"), ("remove", A, "dog"), ("add", A, "new")))
    before = row({"cat": 0.5, "dog": 1.0}, ["dog", "owl"])
    after = edited.row(before)
    assert after.tags == ("cat", "new", "owl")
    assert set(after.tags) == set(edited.apply(A, before.tags))
    assert after.weights == {}
    assert [file.path for file in after.files] == [file.path for file in before.files]
    assert before.tags == ("cat", "dog", "owl")
    gone = row()
    assert edited.row(gone) is gone


TAG = st.sampled_from(["a", "A", "b", " b", "c"])
ENTRY = st.one_of(
    st.tuples(st.sampled_from(["add", "remove"]), st.sampled_from([A, B]), TAG),
    st.integers(1, 12),
)


@settings(deadline=None)
@given(st.lists(ENTRY, max_size=12), st.lists(TAG, max_size=5, unique=True))
def test_whatever_was_edited_ends_in_the_last_word_on_each_tag(
    entries: list[tuple[EditKind, str, str] | int], tags: list[str]
) -> None:
    possible = [e for n, e in enumerate(entries, 1) if not isinstance(e, int) or e < n]
    edits = replay(*possible)
    rules = TagRules()
    edited = EditedTags(edits, rules)
    found = edited.apply(A, tags)
    assert len({rules.fold(tag) for tag in found}) <= len(found) == len(set(found))
    folded = {rules.fold(tag) for tag in found}
    for tag in ("a", "b", "c"):
        last = edited.last(A, tag)
        if last is None:
            assert (tag in folded) == (tag in {rules.fold(one) for one in tags})
        else:
            assert (tag in folded) == (last.kind == "add")
    if tags:
        one = row(tags)
        assert set(map(rules.fold, edited.row(one).tags)) == folded


# In a library ------------------------------------------------------------------------------


def test_edits_are_numbered_and_kept(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    assert library.tag_edits() == []
    versions = library.versions()
    made = library.edit_tags([NewTagEdit("add", A, "new"), NewTagEdit("remove", A, "old")])
    assert [edit.number for edit in made] == [1, 2] and library.versions() != versions
    [undo] = library.edit_tags([NewTagEdit("undo", undoes=1)])
    again = Library.open(tmp_path / "library")
    assert again.tag_edits() == [*made, undo] == library.tag_edits()
    assert library.edit_tags([]) == []
    with pytest.raises(LibraryError, match="no edit number 9"):
        library.edit_tags([NewTagEdit("undo", undoes=9)])
    with pytest.raises(LibraryError, match="no edit number"):
        Library.create_or_open(tmp_path / "other").edit_tags([NewTagEdit("undo", undoes=1)])


def test_edits_outlive_a_lost_library_json(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    library.edit_tags([NewTagEdit("add", A, "new")])
    (tmp_path / "library" / "library.json").unlink()
    assert len(Library.create_or_open(tmp_path / "library").tag_edits()) == 1


def test_what_another_process_adds_is_read_without_reading_all_again(tmp_path: Path) -> None:
    first, second = EditLog(tmp_path / "edits.lance"), EditLog(tmp_path / "edits.lance")
    for number in range(5):
        first.append([NewTagEdit("add", A, f"first {number}")])
        second.append([NewTagEdit("add", A, f"second {number}")])
        assert first.read() == second.read()
    assert [edit.number for edit in first.read()] == list(range(1, 11))


_WRITE = """
import sys
from pathlib import Path
from tagkin.tag_edits import EditLog, NewTagEdit
log = EditLog(Path(sys.argv[1]))
for n in range(10):
    log.append([NewTagEdit("add", "a" * 32, f"{sys.argv[2]} {n}")])
"""


def test_two_processes_lose_no_edit(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(tmp_path / "edits.lance"), name],
            env=subprocess_environment(),
        )
        for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = EditLog(tmp_path / "edits.lance").read()
    assert {edit.tag for edit in found} == {
        f"{who} {n}" for who in ("one", "two") for n in range(10)
    }


def test_everything_sees_edits_but_the_rows_stay(demo_copy: Demo) -> None:
    library, chosen = demo_copy.library, demo_copy.settings
    rules = TagRules.from_settings(chosen)
    rows = library.images()
    birds = [one for one in rows if "bird" in rules.wanted(one.tags)]
    others = [one for one in rows if "bird" not in rules.wanted(one.tags)]
    counts = library.tag_counts()
    raw = next(tag for tag in birds[0].tags if rules.resolve(tag) == "bird")
    library.edit_tags(
        [
            NewTagEdit("remove", birds[0].id, "BIRD"),
            NewTagEdit("remove", birds[1].id, "bird"),
            NewTagEdit("add", others[0].id, raw),
            *(NewTagEdit("add", one.id, "brand new") for one in others[:40]),
        ]
    )
    after = library.tag_counts(rules)
    assert after[raw] == counts[raw] - 1 and after["brand new"] == 40
    learned = LearningSet.read(library, demo_copy.config.fingerprint, chosen)
    assert learned.vocabulary.counts["bird"] == len(birds) - 1
    column = learned.vocabulary.index["brand new"]
    assert learned.labels[:, [column]].sum() == 40
    decided = TagDecisions(library, chosen).merge(["bird", "brand new"], canonical="bird")
    assert decided.decisions
    proposals = find_in_library(library, demo_copy.config.fingerprint, chosen)
    assert all("brand new" not in group.members for group in proposals.groups)
    assert library.images() == rows
