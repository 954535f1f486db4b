"""Two processes that write the same library at once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Demo, subprocess_environment
from helpers_collection import add, collection, picture
from helpers_faults import LITE0, start, wrong

from tagkin.lance_table import LanceTable
from tagkin.library import Library

pytestmark = pytest.mark.fault

_FIRST_WRITES = """
import sys
from pathlib import Path
import numpy as np
from tagkin.library import Library
from tagkin.records import ImageRow, Problem

library = Library.open(Path(sys.argv[1]))
number = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for part in range(10):
    ids = [f"{number:016x}{part:016x}", f"{99:016x}{part:016x}"]
    library.upsert_images([ImageRow(one, (), number, 1, "png", 1, 0) for one in ids])
    library.add_vectors("f", ids, np.full((2, 4), 1 + part, np.float32))
    library.add_problems([Problem(Path(f"{number} {part}"), "why")])
    library.update_state(**({"prepared": True} if number else {"remembered": {"seed": part}}))
    library.decide("reject", [str(number), str(part)])
"""


@pytest.mark.parametrize("attempt", range(4))
def test_the_first_writes_of_all_tables(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "library"
    Library.create_or_open(path)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _FIRST_WRITES, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=subprocess_environment(),
            text=True,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, told = writer.communicate()
        assert writer.returncode == 0, told
    library = Library.open(path)
    expected = {f"{number:016x}{part:016x}" for number in (0, 1, 2, 99) for part in range(10)}
    assert sorted(row.id for row in library.images()) == sorted(expected)
    assert LanceTable(path / "vectors-f.lance", None).count() == len(expected)
    assert library.vector_ids("f") == expected
    assert len(library.decisions()) == 30
    assert (library.state.prepared, library.state.remembered) == (True, {"seed": 9})
    assert len(library.problems()) == 30
    assert wrong(path) == []


def run_both(*commands: tuple[str | Path, ...]) -> list[tuple[int, str]]:
    processes = [start(*command) for command in commands]
    told = [process.communicate(timeout=240)[1] for process in processes]
    assert not any("Traceback" in one for one in told), told
    return [(process.returncode, one) for process, one in zip(processes, told, strict=True)]


def test_two_runs_of_prepare(tmp_path: Path) -> None:
    """One of them says that the other is at work, or has ended before; none undoes the other."""
    one = collection(tmp_path / "one", 60)
    other = collection(tmp_path / "other", 60, start=40)
    library = tmp_path / "library"
    commands = [("prepare", folder, "--library", library) for folder in (one, other)]
    outcomes = run_both(*commands)
    assert {code for code, _ in outcomes} <= {0, 2}
    assert any(code == 0 for code, _ in outcomes)
    assert all("is at work" in told for code, told in outcomes if code == 2), outcomes
    for command, (code, _) in zip(commands, outcomes, strict=True):
        if code == 2:
            run_both(command)
    rows = Library.open(library).images()
    assert len(rows) == 100
    assert sum(len(row.files) for row in rows) == 120
    assert wrong(library) == []


def test_two_runs_of_embed(demo_library: Demo, tmp_path: Path) -> None:
    library = tmp_path / "library"
    shutil.copytree(
        demo_library.path, library, ignore=shutil.ignore_patterns("vectors-*", "taggers")
    )
    command = ("embed", "--library", library, *LITE0)
    outcomes = run_both(command, command)
    assert [code for code, _ in outcomes] == [0, 0], outcomes
    fingerprint = demo_library.config.fingerprint
    ids, _ = Library.open(library).vectors(fingerprint)
    assert ids == [row.id for row in demo_library.library.images()]
    assert LanceTable(library / f"vectors-{fingerprint}.lance", None).count() == len(ids)
    assert wrong(library) == []


def test_prepare_embed_and_decisions_at_once(demo_copy: Demo, tmp_path: Path) -> None:
    library = demo_copy.path
    tags = [tag for tag, _ in demo_copy.library.tag_counts().most_common(4)]
    total = len(demo_copy.library.images())
    source = tmp_path / "more"
    for seed in range(20):
        add(source, f"{seed}.png", picture(seed), "new")
    outcomes = run_both(
        ("prepare", source, "--library", library, "--min-tag-occurrences", "3"),
        ("embed", "--library", library, *LITE0, "--fit", "crop"),
        ("variants", "merge", *tags[:2], "--library", library),
        ("variants", "merge", *tags[2:], "--library", library),
        ("check", "--library", library),
    )
    assert [code for code, _ in outcomes] == [0, 0, 0, 0, 0], outcomes
    opened = Library.open(library)
    assert len(opened.images()) == total + 20
    assert len(opened.decisions()) == 2
    assert opened.state.remembered["min_tag_occurrences"] == 3
    assert opened.state.prepared
    assert opened.state.active_backbone is not None
    assert opened.state.active_backbone["views"] == ["crop"]
    assert wrong(library) == []
