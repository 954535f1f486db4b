"""Measuring this machine in child processes."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tagkin.backbones.cache import exported_sizes
from tagkin.backbones.runtime import Runtime
from tagkin.machine import Machine
from tagkin.recommending import measuring
from tagkin.recommending.measuring import (
    MeasurementError,
    Plan,
    TooSlowError,
    ask,
    measure,
    measure_anchor,
)
from tagkin.recommending.stored import load_measurements

LITE0 = "efficientnet-lite0"


def here(tmp_path: Path) -> Machine:
    return Machine.here(tmp_path, tmp_path)


def test_a_child_measures_the_offline_backbone_on_files(
    lite0: Runtime, cache_dir: Path, demo_images: list[Path], tmp_path: Path
) -> None:
    graph = exported_sizes(LITE0, cache_dir)[224]
    about = {"graph": str(graph), "architecture": LITE0, "precision": "f32", "batch": 1}
    files = [str(path) for path in demo_images[:4]]
    request = {"part": "embed", **about, "image_size": 224, "seconds": 0.2, "files": files}
    large = ask(request, timeout=100)
    assert large["images_per_second"] > 0
    assert large["in_memory"] > 0
    assert large["requests"] >= 1
    assert large["images"] >= large["requests"]
    assert 50e6 < large["resident"] < large["addresses"]
    # Without a new export, convolutions take images of another size.
    small = ask({**request, "image_size": 128}, timeout=100)
    assert small["resident"] > 50e6
    batch = ask({**request, "batch": 8}, timeout=100)
    assert batch["resident"] > large["resident"]


def test_what_was_measured_is_kept_and_not_measured_again(
    lite0: Runtime,
    cache_dir: Path,
    demo_images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "_RUN_SECONDS", 0.2)
    (tmp_path / "graphs").symlink_to(cache_dir / "graphs")
    plan = Plan(tmp_path, demo_images[:4], architectures=[LITE0])
    known = measure(plan, here(tmp_path))
    (row,) = known.rows
    assert (row.architecture, row.image_size) == (LITE0, 224)
    assert known.anchor["f32"] > 0
    assert known.requests >= 1

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(measuring, "ask", never)
    assert measure(plan, here(tmp_path)).rows == [row]
    assert load_measurements(tmp_path).rows == [row]
    with pytest.raises(AssertionError, match="measured again"):
        measure(Plan(tmp_path, again=True, architectures=[LITE0]), here(tmp_path))


def test_a_damaged_store_is_as_good_as_none(tmp_path: Path) -> None:
    measure_anchor(tmp_path)
    (file,) = (tmp_path / "measurements").iterdir()
    for text in ("", "{}", "[1]", '{"anchor": 1, "requests": 0, "rows": [], "failed": {}}'):
        file.write_text(text)
        assert load_measurements(tmp_path).rows == []


def test_what_a_child_says_of_its_end_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(code: int, stderr: str = "", stdout: str = "") -> None:
        done = subprocess.CompletedProcess([], code, stdout, stderr)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    for code, stderr in ((-signal.SIGKILL, ""), (1, "x\nstd::bad_alloc"), (1, "MemoryError")):
        ended(code, stderr)
        with pytest.raises(MeasurementError, match="ran out of memory"):
            ask({})
    ended(1, "Traceback\ntagkin.errors.BackboneError: no such graph\n")
    with pytest.raises(MeasurementError, match=r"^BackboneError: no such graph$"):
        ask({})
    ended(0, stdout="no JSON")
    with pytest.raises(MeasurementError, match="no answer"):
        ask({})
    ended(0, stdout='noise\n{"a": 1}')
    assert ask({}) == {"a": 1}


def test_a_child_that_takes_too_long_costs_its_own_figure_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(request: dict[str, Any], **_: Any) -> dict[str, Any]:
        if request["part"] == "anchor":
            return {"rates": {"f32": 10.0}, "requests": 2}
        raise TooSlowError("it took longer than 1 seconds")

    told: list[str] = []
    monkeypatch.setattr(measuring, "ask", slow)
    known = measure(Plan(tmp_path, architectures=[LITE0]), here(tmp_path), told.append)
    assert known.rows == []
    assert known.failed == {}
    assert any("too long" in line for line in told)


def test_a_machine_without_memory_tries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note_it(request: dict[str, Any], **_: Any) -> dict[str, Any]:
        asked.append(request["part"])
        return {"rates": {"f32": 10.0}, "requests": 2}

    monkeypatch.setattr(measuring, "ask", note_it)
    machine = here(tmp_path).with_memory(2**20)
    measure(Plan(tmp_path, architectures=["vit-large", "convnext-large"]), machine)
    assert asked == ["anchor"]


@pytest.mark.slow
def test_the_anchor_in_a_child(tmp_path: Path) -> None:
    answer = ask({"part": "anchor"}, timeout=100)
    assert json.dumps(answer)
    assert answer["rates"]["f32"] > 0


@pytest.mark.slow
def test_phase_2_and_an_export_in_children(cache_dir: Path) -> None:
    about = {"architecture": LITE0, "weights": "imagenet", "image_size": 224, "precision": "f32"}
    export = ask({"part": "export", **about})
    assert export["resident"] > 200e6
    peaks = [
        ask(
            {
                "part": "tail",
                **about,
                "batch": batch,
                "steps": 1,
                "tags": 20,
                "cache_dir": str(cache_dir),
            }
        )
        for batch in (2, 16)
    ]
    assert peaks[0]["resident"] < peaks[1]["resident"]
    assert peaks[0]["activation_bytes"] == peaks[1]["activation_bytes"] > 0
