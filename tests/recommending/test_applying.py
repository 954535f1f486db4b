"""``tagkin.toml`` gets a few lines and keeps the rest."""

import tomllib
from pathlib import Path

import pytest

from tagkin.errors import SettingsError
from tagkin.recommending.applying import apply, changes

WANTED: dict[str, str | int] = {"model_architecture": "resnet50", "image_size": 224}


def test_a_new_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "tagkin.toml"
    assert [change.name for change in apply(path, WANTED)] == list(WANTED)
    assert tomllib.loads(path.read_text()) == WANTED
    assert apply(path, WANTED) == []


def test_comments_order_and_other_settings_stay(tmp_path: Path) -> None:
    path = tmp_path / "tagkin.toml"
    path.write_text(
        "# mine\nimage_size = 384  # as published\nseed = 7\n\n[aliases]\nkitty = 'cat'\n"
        "model_architecture = 'x'\n"
    )
    made = apply(path, WANTED)
    assert [(change.name, change.before) for change in made] == [
        ("model_architecture", None),
        ("image_size", 384),
    ]
    assert path.read_text() == (
        "# mine\nimage_size = 224  # as published\nseed = 7\n"
        "model_architecture = \"resnet50\"\n\n[aliases]\nkitty = 'cat'\nmodel_architecture = 'x'\n"
    )


@pytest.mark.parametrize(
    "text", ["seed = 1", "[aliases]\na = 'b'\n", "\n\n", 'x = "[y]"\n', "a = [\n 1,\n]\n"]
)
def test_any_valid_file_keeps_its_content(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tagkin.toml"
    path.write_text(text)
    apply(path, WANTED)
    assert tomllib.loads(path.read_text()) == {**tomllib.loads(text), **WANTED}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a = = 1", "not valid TOML"), ('model_architecture = """\nx"""\n', "unusual form")],
)
def test_what_cannot_be_changed_is_left_alone(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "tagkin.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=expected):
        apply(path, WANTED)
    assert path.read_text() == text


def test_changes_can_be_seen_before(tmp_path: Path) -> None:
    path = tmp_path / "tagkin.toml"
    assert len(changes(path, WANTED)) == 2
    assert not path.exists()
