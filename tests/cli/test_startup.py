"""Commands start quickly because they import only what they need."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Demo, subprocess_environment

_RUN = """
import sys
from tagkin.cli.main import run
sys.argv = ["tagkin", *sys.argv[1:]]
try:
    run()
except SystemExit as exit:
    assert not exit.code, exit.code
print("IMPORTED", *sorted(n for n in sys.modules if "." not in n))
"""


def imported(*arguments: str | Path) -> set[str]:
    """The packages that a command has imported when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=subprocess_environment(),
        check=True,
    )
    return set(done.stdout.rpartition("IMPORTED ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"tensorflow", "keras", "openvino", "lance", "sklearn", "scipy", "pyarrow", "numpy"}
    heavy |= {"fastapi", "starlette", "uvicorn"}
    assert imported(*arguments) & heavy == set()


def test_predicting_needs_no_machine_learning_framework(
    demo_library: Demo, demo_images: list[Path]
) -> None:
    modules = imported("predict", demo_images[0], "--library", demo_library.path)
    assert "openvino" in modules
    assert modules & {"tensorflow", "keras", "sklearn"} == set()


def test_searching_needs_no_machine_learning_framework(
    demo_library: Demo, demo_images: list[Path]
) -> None:
    modules = imported("similar", demo_images[0], "--library", demo_library.path)
    assert modules & {"tensorflow", "keras", "sklearn"} == set()
