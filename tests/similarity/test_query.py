"""What an owner types to choose images."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.errors import QueryError
from tagkin.similarity.query import Query, TagTerm, parse_query


def tags(*names: str) -> tuple[TagTerm, ...]:
    return tuple(TagTerm(name) for name in names)


def test_signs_say_what_an_image_has() -> None:
    query = parse_query("cat -dog ~red ~blue 'tis -'tis")
    assert query.all_of == tags("cat", "'tis")
    assert query.none_of == tags("dog", "'tis")
    assert query.any_of == tags("red", "blue")


def test_quotes_keep_spaces_signs_and_stars() -> None:
    query = parse_query(r'"two words" -"-minus" ~"say \"hi\"" "star*" "folder:x" "~"')
    assert query.all_of == tags("two words", "star*", "folder:x", "~")
    assert query.none_of == tags("-minus")
    assert query.any_of == tags('say "hi"')
    assert query.folders == ()


def test_a_star_stands_for_any_ending() -> None:
    query = parse_query("bi* -do* *")
    assert query.all_of == (TagTerm("bi", prefix=True), TagTerm("*"))
    assert query.none_of == (TagTerm("do", prefix=True),)


def test_namespaces_are_tags() -> None:
    assert parse_query("rating:s artist:a:b").all_of == tags("rating:s", "artist:a:b")


def test_folders() -> None:
    query = parse_query('folder:a/b -folder:"my pictures" folder:"c d"/')
    assert query.folders == ("a/b", "c d")
    assert query.not_folders == ("my pictures",)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("date:2024", (2024, 1, 1), (2025, 1, 1)),
        ("date:=2024-02", (2024, 2, 1), (2024, 3, 1)),
        ("date:2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("date:>2024-2-29", (2024, 2, 29), (2024, 3, 1)),
    ],
)
def test_dates(text: str, start: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    date = parse_query(text).dates[0]
    assert date.start == datetime(*start).astimezone()
    assert date.end == datetime(*end).astimezone()


@pytest.mark.parametrize(
    "text",
    ["date:yesterday", "date:2024-13", "date:2023-02-29", "date:0000", "date:", "folder:",
     "~folder:x", "-date:2024", 'folder:"open', "date:9999"],
)  # fmt: skip
def test_what_makes_no_sense_is_said(text: str) -> None:
    with pytest.raises(QueryError):
        parse_query(text)


def test_an_empty_query_wants_everything() -> None:
    assert not parse_query("  ")
    assert parse_query("cat")


@given(st.text(max_size=40))
def test_any_text_gives_a_query_or_a_clear_error(text: str) -> None:
    try:
        query = parse_query(text)
    except QueryError as error:
        assert str(error)
    else:
        assert parse_query(str(query)) == query


NAMES = st.text(min_size=1, max_size=12).filter(lambda t: t.strip())


@given(
    st.lists(NAMES, max_size=3),
    st.lists(NAMES, max_size=3),
    st.lists(NAMES, max_size=3),
    st.lists(st.text("abc /\"\\'-", min_size=1).map(lambda t: t.strip("/")).filter(bool)),
)
def test_any_tags_survive_being_written(
    all_of: list[str], none_of: list[str], any_of: list[str], folders: list[str]
) -> None:
    query = Query(tags(*all_of), tags(*none_of), tags(*any_of), tuple(folders))
    assert parse_query(str(query)) == query
