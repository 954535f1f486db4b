"""Ray's workers and the process that leads them are killed: no vector is lost or made twice."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, RunTagkin
from helpers_ray import (
    WORKERS,
    begin,
    command,
    descendants,
    in_tree,
    made_library,
    stored,
    wait_until,
    workers_of,
)

from tagkin.distributed.session import _short_folder
from tagkin.library import Library

pytest.importorskip("ray")
pytestmark = pytest.mark.fault

# Several views at a larger size, so that there is time to kill something.
SLOW = ("--model", "efficientnet-lite0", "--precision", "f32", "--image-size", "288")
VIEWS = ("--views", "squeeze,pad,crop,flip")
RAY = ("embed", *SLOW, *VIEWS, "--engine", "ray", "--workers", WORKERS, "--json")

# Python imports this module at its start: a worker that opens a certain file is killed.
_DEADLY = """
import os, signal, sys

def audit(event, arguments):
    if event == "open" and str(arguments[0]) == os.environ["DEADLY_FILE"]:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
"""


def without_vectors(demo: Demo) -> Library:
    for path in demo.path.glob("vectors-*"):
        path.rename(demo.path.parent / path.name)
    return demo.library


def test_killed_workers_are_replaced(demo_copy: Demo) -> None:
    library = without_vectors(demo_copy)
    chance = random.Random(0)
    process = begin(*RAY, "--library", library.path)
    killed = 0
    for _ in range(3):
        wait_until(lambda: workers_of(process.pid) or process.poll() is not None)
        time.sleep(chance.random())
        for worker in workers_of(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    output, notes = process.communicate(timeout=240)
    assert process.returncode == 0, notes
    assert killed >= 2
    report = json.loads(output)
    assert (report["added"], report["problems"]) == (report["images"], [])
    found = stored(library, report["fingerprint"])
    assert found == [row.id for row in library.images()]


def test_a_killed_leader_loses_only_what_was_not_stored(
    demo_copy: Demo, run_tagkin: RunTagkin
) -> None:
    library = without_vectors(demo_copy)
    process = begin(*RAY, "--library", library.path)
    data = "vectors-*.lance/data/*.lance"
    wait_until(lambda: [*library.path.glob(data)] or process.poll() is not None, 240)
    time.sleep(2)
    # Two small agents look for their parent from time to time only; they end a minute later.
    others = {one for one in descendants(process.pid) if b"Agent" not in command(one)}
    left = {name for one in others for name in re.findall(rb"/tagkin-ray-\w+", command(one))}
    process.kill()
    process.communicate()
    assert others
    wait_until(lambda: not in_tree(others), 60)
    (name,) = left
    folder = Path(_short_folder() + name.decode())
    assert folder.exists()

    table = next(library.path.glob("vectors-*.lance"))
    fingerprint = table.name.removeprefix("vectors-").removesuffix(".lance")
    before, vectors = library.vectors(fingerprint)
    assert 0 < len(before) < len(library.images())
    done = run_tagkin(*RAY, "--library", library.path, timeout=240)
    report = json.loads(done.stdout)
    assert report["already"] == len(before)
    assert report["already"] + report["added"] == report["images"]
    assert stored(library, fingerprint) == [row.id for row in library.images()]
    ids, after = library.vectors(fingerprint)
    kept = [ids.index(image) for image in before]
    np.testing.assert_array_equal(after[kept], vectors)
    assert not folder.exists()  # the next one has cleared up


def test_an_image_of_which_workers_die_costs_only_itself(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    library = made_library(demo_images[:40], demo_library.settings, tmp_path)
    rows = library.images()
    one = next(row.paths[0] for row in rows if len(row.paths) == 1 and "!" not in str(row.paths))
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_DEADLY)
    quick = ("embed", *SLOW, "--engine", "ray", "--workers", WORKERS, "--json")
    done = run_tagkin(
        *(*quick, "--library", library.path),
        env={"PYTHONPATH": str(guard), "DEADLY_FILE": str(one)},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["added"] == len(rows) - 1
    assert [problem["path"] for problem in report["problems"]] == [str(one)]
    assert "workers died each time" in report["problems"][0]["reason"]
