"""``tagkin recommend``, and what ``embed`` says before it starts."""

import json
import tomllib
from pathlib import Path

import pytest
from conftest import Demo, RunTagkin

QUICK = ("recommend", "--quick")
BIG = ("recommend", "--assume", "64 GiB, 32 threads, no GPU")


def test_a_described_machine_gets_a_table_and_a_reason(run_tagkin: RunTagkin) -> None:
    done = run_tagkin(*BIG, "--images", "100000")
    assert done.returncode == 0, done.stderr
    assert "16 cores" in done.stdout
    assert "100,000 images" in done.stdout
    assert "Advice: " in done.stdout
    assert "published, not measured here" in done.stdout
    assert "% of the machine" in done.stdout


def test_json_says_the_same(run_tagkin: RunTagkin) -> None:
    done = run_tagkin(*BIG, "--images", "100000", "--budget", "8h", "--memory", "16G", "--json")
    said = json.loads(done.stdout)
    assert said["budget_seconds"] == 28800
    assert said["machine"]["available"] == 16 * 2**30
    assert said["recommended"]["first_memory"] <= 16 * 2**30
    assert len({row["architecture"] for row in said["options"]}) == 6
    assert said["memory"][0]["embed"]["8"] > said["memory"][0]["embed"]["1"]
    assert said["published_not_measured"][0]["source"]


def test_quick_writes_the_settings(run_tagkin: RunTagkin, tmp_path: Path) -> None:
    done = run_tagkin(*QUICK, "--apply", "--goal", "speed", "--images", "500000")
    assert done.returncode == 0, done.stderr
    assert "tagkin.toml: model_architecture = " in done.stdout
    written = tomllib.loads((tmp_path / "cwd" / "tagkin.toml").read_text())
    assert written["model_architecture"]
    again = run_tagkin(*QUICK, "--apply", "--goal", "speed", "--images", "500000")
    assert "says so already" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--quick", "--goal", "cheap"], "--goal is accuracy, speed or balanced"),
        (["--quick", "--budget", "8"], "'8' is no time"),
        (["--quick", "--memory", "lots"], "'lots' is no size"),
        (["--quick", "--full"], "exclude each other"),
        (["--assume", "64 GiB"], "lacks its cores"),
        (["--assume", "64 GiB, 4 cores", "--apply"], "--assume is about another machine"),
        (["--assume", "64 GiB, 4 cores", "--gpu", "Voodoo 2"], "choose from RTX 4090"),
        (["--quick", "--probe", "100"], "no library"),
        (["--quick", "--apply", "--memory", "10M"], "nothing was written"),
    ],
)
def test_a_mistake_is_one_clear_message(
    arguments: list[str], expected: str, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    done = run_tagkin("recommend", *arguments)
    assert done.returncode == 2, done.stdout
    assert expected in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cwd" / "tagkin.toml").exists()


def test_embed_refuses_what_cannot_fit_unless_told_otherwise(
    demo_library: Demo, run_tagkin: RunTagkin
) -> None:
    # No machine of ours is that large, and the disk isn't either.
    huge = ("--model", "efficientnetv2-l", "--image-size", "2048", "--weights", "random")
    code = (
        "import sys; from tagkin.machine import Machine; from tagkin.recommending import jobs;"
        "jobs.Machine.here = lambda *_, **__: Machine.assume('1G, 1 core');"
        "from tagkin.cli.main import run; sys.argv = ['tagkin', *sys.argv[1:]]; run()"
    )
    from conftest import run_python

    done = run_python(
        code.replace("sys.argv[1:]", repr(["embed", *huge, "--library", str(demo_library.path)]))
    )
    assert done.returncode == 2, done.stderr
    assert "of memory, and" in done.stderr
    assert "--anyway" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_short_job_is_not_announced(demo_library: Demo, run_tagkin: RunTagkin) -> None:
    done = run_tagkin("embed", "--library", demo_library.path)
    assert done.returncode == 0
    assert "embedding" not in done.stderr
