import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import subprocess_environment

from tagkin.errors import LibraryError
from tagkin.locking import one_at_a_time, only_one

_HOLDER = """
import sys, time
from pathlib import Path
from tagkin.locking import only_one
with only_one(Path(sys.argv[1]), "prepare", "thing"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with only_one(tmp_path, "prepare", "'tagkin prepare'"):
        with (
            pytest.raises(LibraryError, match="another 'tagkin prepare' is at work"),
            only_one(tmp_path, "prepare", "'tagkin prepare'"),
        ):
            pass
        with only_one(tmp_path, "other", "thing"):
            pass
    with only_one(tmp_path, "prepare", "'tagkin prepare'"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=subprocess_environment(),
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LibraryError), only_one(tmp_path, "prepare", "thing"):
            pass
        holder.kill()
    with only_one(tmp_path, "prepare", "thing"):
        pass


def test_waiting_for_a_lock(tmp_path: Path) -> None:
    import threading

    order: list[str] = []

    def second() -> None:
        with one_at_a_time(tmp_path, "state"):
            order.append("second")

    thread = threading.Thread(target=second)
    with one_at_a_time(tmp_path, "state"):
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="can't write"), only_one(tmp_path / "none", "x", "y"):
        pass
