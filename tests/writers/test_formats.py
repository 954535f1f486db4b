"""Decisions as text: what is written comes back, or is refused in words."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.decisions import Link, LinkKind
from tagkin.errors import ExchangeError
from tagkin.writers import FORMATS, format_named

AWKWARD = [
    "a, b", 'say "x"', "two\nlines", "cr\rlf\r\n", "🐈", "-dash", "--force", "->", "a -> b", " ",
    " outer ", "a_b", "a b", "alias", "#1", "=1+1", "system:x", "\ufeffbom", "\x1c", "\u2028",
    "\x00", "'", "imply x -> y", "猫", "a|b",
]  # fmt: skip
TAG = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.text("ab _-\n\r\t,\"'>", min_size=1, max_size=6),
)
KIND: st.SearchStrategy[LinkKind] = st.sampled_from(["merge", "reject", "imply", "related"])
CHANCE = st.none() | st.floats(0, 1)
LINK = st.builds(
    Link,
    kind=KIND,
    tag=TAG,
    other=TAG,
    number=st.just(0),
    when=st.none() | st.just("2024-05-06T07:08:09+00:00"),
    who=st.none() | TAG,
    evidence=st.just("") | TAG,
    probability=CHANCE,
)


def pairs(links: list[Link]) -> list[tuple[str, str, str]]:
    return [(link.kind, link.tag, link.other) for link in links]


@pytest.mark.parametrize("name", FORMATS)
@given(links=st.lists(LINK, max_size=8))
def test_tags_come_back_as_they_were_or_are_refused(name: str, links: list[Link]) -> None:
    form = FORMATS[name]
    kept = [link for link in links if link.kind in form.kinds]
    try:
        text = form.write(kept)
    except ExchangeError as error:
        assert name != "csv"
        assert "export as csv" in str(error)
        return
    known = {tag for link in kept for tag in (link.tag, link.other)}
    for read in (text, "\ufeff" + text):  # some programs put a mark before UTF-8
        back = form.read(read.encode().decode(), known)
        assert pairs(back) == pairs(kept)
        numbers = [link.number for link in back]
        assert numbers == sorted(numbers)


@given(st.lists(LINK, max_size=8))
def test_csv_keeps_everything(links: list[Link]) -> None:
    back = FORMATS["csv"].read(FORMATS["csv"].write(links), ())
    details = [(one.when, one.who, one.evidence, one.probability) for one in links]
    assert [(one.when, one.who, one.evidence, one.probability) for one in back] == details


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_or_refused(text: str) -> None:
    for form in FORMATS.values():
        try:
            links = form.read(text, ())
        except ExchangeError as error:
            assert "line" in str(error) or "columns" in str(error)
        else:
            assert all(link.tag and link.other for link in links)


def test_what_each_format_looks_like() -> None:
    links = [
        Link("merge", "north america", "america", 1, "2024-05-06T07:08:09+00:00", "me", "why", 0.5),
        Link("imply", "kitten", "cat", 2),
    ]
    assert FORMATS["danbooru"].write(links) == (
        "alias north_america -> america\nimply kitten -> cat\n"
    )
    assert FORMATS["hydrus"].write(links[:1]) == "north america\namerica\n"
    assert FORMATS["hydrus-parents"].write(links[1:]) == "kitten\ncat\n"
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(links))))
    assert rows[0] == {
        "kind": "merge",
        "tag": "north america",
        "canonical": "america",
        "when": "2024-05-06T07:08:09+00:00",
        "who": "me",
        "evidence": "why",
        "probability": "0.5",
    }


def test_underscores_become_spaces_only_for_tags_that_are_known() -> None:
    text = (
        "create alias north_america -> usa\nCREATE IMPLICATION a_b -> c_d\n\n  alias  x ->  y\r\n"
    )
    links = FORMATS["danbooru"].read(text, {"north america", "a_b", "a b"})
    assert pairs(links) == [
        ("merge", "north america", "usa"),
        ("imply", "a_b", "c_d"),
        ("merge", "x", "y"),
    ]
    assert [link.number for link in links] == [1, 2, 4]


def test_a_plain_table_of_aliases_is_read_as_merges() -> None:
    assert pairs(FORMATS["csv"].read("alias,canonical\nkitty,cat\n", ())) == [
        ("merge", "kitty", "cat")
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("csv", "", "columns 'tag'.*has none"),
        ("csv", "kind,tag\nmerge,a\n", "columns 'tag'"),
        ("csv", "tag,canonical\na,b\n\nc,\n", "line 4: a tag is empty"),
        ("csv", 'tag,canonical\n"a\nb",c\n,d\n', "line 4: a tag is empty"),
        ("csv", "kind,tag,canonical\nmarry,a,b\n", "line 2: there is no kind 'marry'"),
        ("csv", "tag,canonical\na,b,c\n", "line 2: 3 cells"),
        ("csv", 'tag,canonical\na,"b\n', "line 2"),
        ("csv", "tag,canonical,when\na,b,yesterday\n", "line 2.*yesterday"),
        ("csv", "tag,canonical,probability\na,b,7\n", "line 2.*7"),
        ("danbooru", "alias a -> b\nunalias a -> b\n", "line 2: 'unalias a -> b' is neither"),
        ("danbooru", "alias a b -> c\n", "line 1"),
        ("hydrus", "a\nb\n\nc\n", "line 4.*two lines"),
    ],
)
def test_a_wrong_file_is_told_with_its_lines(name: str, text: str, expected: str) -> None:
    with pytest.raises(ExchangeError, match=f"(?s){expected}"):
        FORMATS[name].read(text, ())


def test_many_wrong_lines_are_counted() -> None:
    with pytest.raises(ExchangeError, match=r"line 5: .*; and 15 more"):
        FORMATS["danbooru"].read("x\n" * 20, ())


def test_tags_that_a_format_cannot_tell_apart_are_named() -> None:
    links = [Link("merge", "a b", "x", 1), Link("merge", "a_b", "y", 2)]
    with pytest.raises(ExchangeError, match=r"'a b', 'a_b'.*spaces and underscores"):
        FORMATS["danbooru"].write(links)
    with pytest.raises(ExchangeError, match="can't carry '-x'"):
        FORMATS["hydrus"].write([Link("merge", "-x", "x", 1)])


def test_an_unknown_format_is_told_the_known_ones() -> None:
    with pytest.raises(ExchangeError, match="csv, danbooru, hydrus"):
        format_named("xml")
