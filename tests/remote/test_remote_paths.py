"""Addresses as paths."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.remote_paths import RemotePath, as_path, is_address

KEYS = st.text(st.characters(min_codepoint=33, exclude_characters="\x7f"), min_size=1, max_size=30)


@given(KEYS)
def test_an_address_stays_as_it_is(key: str) -> None:
    address = f"https://example.org/{key}"
    path = as_path(address)
    assert isinstance(path, RemotePath)
    assert str(path) == address
    assert as_path(str(path)) == path
    assert pickle.loads(pickle.dumps(path)) == path  # noqa: S301 - our own


@given(st.lists(st.sampled_from(["", ".", "..", ":", "::", ":.", "a", "b.jpg"]), max_size=6))
def test_parts_that_paths_drop_are_kept(parts: list[str]) -> None:
    address = "http://host:80/" + "/".join(["x", *parts])
    path = as_path(address)
    assert str(path) == address
    assert str(path.parent / "c.png").endswith("/c.png")


def test_it_is_a_path_like_any_other() -> None:
    path = as_path("s3://bucket/photos/cat.JPG")
    assert isinstance(path, RemotePath)
    assert (path.name, path.suffix, path.stem) == ("cat.JPG", ".JPG", "cat")
    assert str(path.parent) == "s3://bucket/photos"
    assert str(path.parent / "cat.txt") == "s3://bucket/photos/cat.txt"
    assert path.relative_to(as_path("s3://bucket")).parts == ("photos", "cat.JPG")
    assert path.absolute() is path
    assert path.is_absolute()
    assert (path.root_address, path.key) == ("s3://bucket", "photos/cat.JPG")
    assert sorted([path, Path("/a"), as_path("s3://bucket/a")])


def test_a_folder_may_end_with_a_slash() -> None:
    assert as_path("s3://bucket/photos/") == as_path("s3://bucket/photos")


def test_what_is_no_address_stays_a_path() -> None:
    for text in ("/a/b.jpg", "s3:/bucket/x", "ftp://host/x", "file:///etc/passwd", "c:\\x"):
        assert not is_address(text)
        assert not isinstance(as_path(text), RemotePath)


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///key",
        "s3://a b/key",
        "s3://169.254..1/x",
        "https://",
        "https:///x",
        "https://user:secret@host/x",
        "https://host\\@other/x",
        "http://host/a\r\nHost: other",
        "https://ho st/x",
    ],
)
def test_impossible_addresses_are_refused(address: str) -> None:
    assert is_address(address)
    with pytest.raises(ValueError, match=r"can't|not read"):
        as_path(address)
