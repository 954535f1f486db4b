"""Nothing leaves the machine: no command looks for a network, and nothing is left in HOME."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Demo, RunTagkin, subprocess_environment

from tagkin.demo import demo_collection

# Python imports this module at its start, before anything of Tagkin's.
_FORBID = """
import os, sys

def audit(event, arguments):
    if event.startswith(("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
                         "socket.gethostby", "socket.getnameinfo", "urllib.Request")):
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write(f"{event} {arguments}\\n")
        raise OSError("no network in this test")

sys.addaudithook(audit)
"""
_TELEMETRY = {"intel", ".intel", "openvino_ga_cid", ".wandb", ".huggingface"}


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python can't reach a network and writes down each try."""
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(_FORBID)
    (tmp_path / "home").mkdir()
    return {
        "PYTHONPATH": str(guard),
        "NETWORK_LOG": str(tmp_path / "network.log"),
        "HOME": str(tmp_path / "home"),
        "TAGKIN_CACHE_DIR": str(tmp_path / "cold cache"),
    }


def test_the_guard_itself_works(guarded: dict[str, str], tmp_path: Path) -> None:
    code = "import urllib.request as r; r.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=subprocess_environment(guarded),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "no network in this test" in done.stderr
    assert (tmp_path / "network.log").read_text()


def test_every_command_works_without_a_network(
    guarded: dict[str, str], run_tagkin: RunTagkin, demo_images: list[Path], tmp_path: Path
) -> None:
    quick = {**guarded, "TAGKIN_MAX_EPOCHS": "3"}
    for arguments in (
        ["prepare", demo_collection()],
        ["embed", "--model", "efficientnet-lite0"],  # exports to the cold cache as well
        ["train"],
        ["predict", demo_images[0]],
        ["similar", demo_images[0]],
        ["similar", "--tag", "bird"],
        ["variants"],
    ):
        done = run_tagkin(*arguments, env=quick)
        assert done.returncode == 0, (arguments, done.stderr)
    assert not (tmp_path / "network.log").exists()
    left = {path.name for path in (tmp_path / "home").rglob("*")}
    assert left & _TELEMETRY == set()


def test_no_process_connects_to_anything(
    demo_copy: Demo, demo_images: list[Path], tmp_path: Path
) -> None:
    # Native code has no audit hooks; the system calls show what it does.
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    for vectors in demo_copy.path.glob("vectors-*"):
        shutil.rmtree(vectors)
    trace = tmp_path / "trace"
    commands = (["embed"], ["predict", demo_images[0]], ["similar", demo_images[0]])
    for arguments in commands:
        strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg"]
        done = subprocess.run(
            [
                *(*strace, "-A", "-o", str(trace)),
                *(sys.executable, "-m", "tagkin", *map(str, arguments)),
                *("--library", str(demo_copy.path)),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            env=subprocess_environment({"HOME": str(tmp_path)}),
        )
        if "ptrace" in done.stderr.lower() and done.returncode:
            pytest.skip("tracing is not allowed here")
        assert done.returncode == 0, done.stderr
    assert "exited with 0" in trace.read_text()
    assert outside(trace.read_text()) == []


@pytest.mark.slow
def test_ray_talks_to_this_machine_only(demo_copy: Demo, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    for vectors in demo_copy.path.glob("vectors-*"):
        shutil.rmtree(vectors)
    trace, home = tmp_path / "trace", tmp_path / "home"
    home.mkdir()
    # What it listens on counts as well: who reaches a port of Ray's can run programs.
    strace = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,bind"]
    done = subprocess.run(
        [
            *(*strace, "-o", str(trace), sys.executable, "-m", "tagkin", "embed"),
            *("--engine", "ray", "--workers", "1", "--library", str(demo_copy.path)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env=subprocess_environment({"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "1"}),
    )
    if "ptrace" in done.stderr.lower() and done.returncode:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1" in trace.read_text()  # which shows that Ray was seen
    assert outside(trace.read_text()) == []
    assert list(home.iterdir()) == []  # where Ray would keep a token


def outside(trace: str) -> list[str]:
    """The calls that go to an address which is not this machine's own."""
    calls = [line for line in trace.splitlines() if re.search(r"AF_INET6?\b", line)]
    return [c for c in calls if not re.search(r'"((::ffff:)?127\.[\d.]+|::1)"', c)]


def test_what_counts_as_outside() -> None:
    port = "{sa_family=AF_INET, sin_port=htons(443), sin_addr="
    away = f'connect(3, {port}inet_addr("142.250.1.1")}}, 16) = 0'
    home = f'connect(3, {port}inet_addr("127.0.0.1")}}, 16) = 0'
    mapped = "bind(5, {sa_family=AF_INET6, inet_pton(AF_INET6, {}, &sin6_addr)}, 28) = 0"
    inside, everybody = mapped.replace("{}", '"::ffff:127.0.0.1"'), mapped.replace("{}", '"::"')
    calls = f"{away}\n{home}\n{inside}\n{everybody}\nsendto(4, ..., 0, NULL, 0)"
    assert outside(calls) == [away, everybody]
