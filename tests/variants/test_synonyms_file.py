from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import SettingsError
from tagkin.variants.synonyms_file import read_synonyms


def test_a_group_on_each_line(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text('# mine\ntrash, garbage ,rubbish\n\n"a, b",c\nalone\n', "utf-8")
    assert read_synonyms(path) == [("trash", "garbage", "rubbish"), ("a, b", "c")]


def test_an_alias_table_will_do(tmp_path: Path) -> None:
    path = tmp_path / "aliases.csv"
    path.write_text("\ufeffalias,canonical\nkitty,cat\n", "utf-8")
    assert read_synonyms(path) == [("kitty", "cat")]


@pytest.mark.parametrize("content", [b"", b"alone\n", b"a,a\n", b"\xff\xfe,x"])
def test_a_file_without_groups_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"own\.csv"):
        read_synonyms(path)
    with pytest.raises(SettingsError, match="can't be read"):
        read_synonyms(tmp_path / "none.csv")


@settings(deadline=None)
@given(content=st.text(max_size=80))
def test_any_text_is_read_or_refused(
    content: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("own") / "own.csv"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        groups = read_synonyms(path)
    except SettingsError:
        return
    assert all(len(group) > 1 and all(word.strip() for word in group) for group in groups)
