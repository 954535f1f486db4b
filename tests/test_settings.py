"""Where a setting comes from, and what an owner reads when one is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tagkin.errors import SettingsError
from tagkin.settings import Settings, default_settings, load_settings, valid_names


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_toml(text: str) -> None:
    Path("tagkin.toml").write_text(text, "utf-8")


def test_each_place_is_above_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    default = Settings.model_fields["min_tag_occurrences"].default
    assert load_settings().min_tag_occurrences == default
    monkeypatch.setenv("TAGKIN_MIN_TAG_OCCURRENCES", "21")
    assert load_settings().min_tag_occurrences == 21
    write_toml("min_tag_occurrences = 22")
    assert load_settings().min_tag_occurrences == 22
    remembered = {"min_tag_occurrences": 23}
    assert load_settings(remembered=remembered).min_tag_occurrences == 23
    assert load_settings({"min_tag_occurrences": 24}, remembered).min_tag_occurrences == 24


def test_places_add_up() -> None:
    write_toml("seed = 5\npatience = 6")
    settings = load_settings({"patience": 7}, {"dropout": 0.1})
    assert (settings.seed, settings.patience, settings.dropout) == (5, 7, 0.1)


def test_an_option_that_was_not_given_changes_nothing() -> None:
    write_toml("seed = 5")
    assert load_settings({"seed": None, "image_size": None}, {"fit": None}) == load_settings()
    assert load_settings({"seed": None}, {"seed": 6}).seed == 6


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGKIN_SEED", "")
    assert load_settings().seed == 0


def test_the_config_file_is_that_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toml("seed = 5")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert load_settings().seed == 0


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("min_tag_occurence", "min_tag_occurrences"),
        ("exclude-tags", "exclude_tags"),
        ("SEED_", "seed"),
        ("qqqqqqqq", None),
    ],
)
@pytest.mark.parametrize("place", ["environment", "toml", "option", "remembered"])
def test_an_unknown_name_is_told_with_the_valid_ones(
    place: str, name: str, meant: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {name: 1} if place == "option" else {}
    remembered = {name: 1} if place == "remembered" else {}
    if place == "toml":
        write_toml(f"{name} = 1")
    if place == "environment":
        name = f"TAGKIN_{name.upper()}"
        monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as caught:
        load_settings(options, remembered)
    message = str(caught.value)
    assert name in message
    assert all(valid in message for valid in valid_names())
    assert ("did you mean" in message) == (meant is not None)
    assert meant is None or f"did you mean '{meant}'. Valid names" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fit": "stretch"}, ["fit", "'stretch'", "'pad', 'squeeze' or 'crop'"]),
        ({"min_tag_occurrences": 0}, ["min_tag_occurrences", "0", "greater than or equal to 1"]),
        ({"seed": "lucky"}, ["seed", "'lucky'", "integer"]),
        ({"seed": 2**32}, ["seed", "less than 4294967296"]),
        ({"validation_fraction": 0.5}, ["validation_fraction", "less than 0.5"]),
        ({"validation_fraction": float("nan")}, ["validation_fraction"]),
        ({"learning_rate": float("inf")}, ["learning_rate", "finite"]),
        ({"duplicate_distance": 16}, ["duplicate_distance", "less than or equal to 15"]),
        ({"aliases": {"a": 3}}, ["aliases.a", "3", "string"]),
    ],
)
def test_an_impossible_value_is_told_with_the_possible_ones(
    options: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(options)
    assert all(word in str(caught.value) for word in words), caught.value


def test_every_mistake_is_told_at_once() -> None:
    write_toml("fit = 'stretch'\nsed = 1")
    with pytest.raises(SettingsError, match="fit") as caught:
        load_settings()
    assert "'seed'" in str(caught.value)


def test_an_impossible_value_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGKIN_DROPOUT", "much")
    with pytest.raises(SettingsError, match="dropout = 'much'"):
        load_settings()
    monkeypatch.delenv("TAGKIN_DROPOUT")
    monkeypatch.setenv("TAGKIN_ALIASES", "a=b")
    with pytest.raises(SettingsError, match="aliases"):
        load_settings()


@pytest.mark.parametrize("content", [b"seed = ", b"[aliases\n", b"seed = 1\nseed = 2", b"\xff\xfe"])
def test_a_broken_config_file_is_named(content: bytes) -> None:
    Path("tagkin.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"tagkin\.toml"):
        load_settings()


def test_the_alias_table_of_the_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml('[aliases]\ndoggo = "dog"\n"Schöne, Katze" = "cat"')
    assert load_settings().aliases == {"doggo": "dog", "Schöne, Katze": "cat"}
    monkeypatch.chdir("/")
    monkeypatch.setenv("TAGKIN_ALIASES", '{"doggo": "dog"}')
    assert load_settings().aliases == {"doggo": "dog"}


def test_tags_to_exclude_are_a_list_or_have_commas_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = ("repost", "to do")
    assert load_settings({"exclude_tags": " repost, to do ,,"}).exclude_tags == expected
    assert load_settings({"exclude_tags": ""}).exclude_tags == ()
    write_toml('exclude_tags = ["repost", "to do"]')
    assert load_settings().exclude_tags == expected
    write_toml("")
    monkeypatch.setenv("TAGKIN_EXCLUDE_TAGS", "repost,to do")
    assert load_settings().exclude_tags == expected


def test_what_a_library_remembers_may_have_been_through_json() -> None:
    assert load_settings(remembered={"exclude_tags": ["a", "b"]}).exclude_tags == ("a", "b")


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        load_settings().seed = 3  # type: ignore[misc]


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_defaults_can_be_had_whatever_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGKIN_MIN_TAG_OCCURRENCES", "3")
    monkeypatch.setenv("TAGKIN_LIBRARY", "elsewhere")
    settings = default_settings(keep=load_settings())
    assert settings.min_tag_occurrences == 10
    assert settings.library == Path("elsewhere")
