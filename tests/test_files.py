"""Files and folders that appear in one step, or not at all."""

import os
import time
from pathlib import Path

import pytest

from tagkin.files import atomic_file, working_folder


def test_a_file_is_replaced_only_if_the_block_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_a_working_folder_is_gone_afterwards_and_takes_old_leftovers_with_it(
    tmp_path: Path,
) -> None:
    old, young, other = (tmp_path / name for name in (".work-old", ".work-young", "mine"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "file").write_text("content")
    two_days_ago = time.time() - 2 * 24 * 3600
    for folder in (old, other):
        os.utime(folder, (two_days_ago, two_days_ago))
    with working_folder(tmp_path, ".work-") as work:
        assert work.parent == tmp_path
        assert list(work.iterdir()) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == [".work-young", "mine"]
