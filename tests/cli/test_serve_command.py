"""``tagkin serve``, as its own process."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from conftest import Demo, RunTagkin, subprocess_environment

TOKEN = "a secret of some length"  # noqa: S105


@contextmanager
def serving(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Starts the server and gives the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tagkin", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_environment({"PYTHONUNBUFFERED": "1", **(env or {})}),
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://[^\s\"]+", line)
        if found is None:
            process.kill()
            pytest.fail(f"no address: {line} {process.communicate()[1]}")
        yield found[0], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def asked(address: str, **options: object) -> httpx2.Response:
    """Asks until the server answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx2.get(address, timeout=20, **options)  # type: ignore[arg-type]
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_it_answers_on_this_machine_and_stops_when_asked(demo_library: Demo) -> None:
    with serving("--library", demo_library.path, "--port", "0") as (address, process):
        assert address.startswith("http://127.0.0.1:")
        assert "Tagkin" in asked(address).text
        status = asked(address + "api/v1/status").json()
        assert status["images"] == len(demo_library.library.images())
        assert "server" not in asked(address).headers
        long = asked(address + "api/v1/tags/" + "%F0%9F%98%80" * 5000)
        assert long.status_code == 404 and long.json()["error"]["code"] == "unknown_tag"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_token_from_the_environment_is_asked_for(demo_library: Demo) -> None:
    env = {"TAGKIN_SERVE_TOKEN": TOKEN.replace(" ", "-"), "TAGKIN_SERVE_HOST": "0.0.0.0"}  # noqa: S104
    arguments = ("--library", demo_library.path, "--port", "0", "--json")
    with serving(*arguments, env=env) as (address, _):
        plain, _, query = address.partition("?")
        assert query == f"token={env['TAGKIN_SERVE_TOKEN']}"
        assert asked(plain).status_code == 401
        assert asked(address, follow_redirects=False).status_code == 303
        bearer = {"authorization": f"Bearer {env['TAGKIN_SERVE_TOKEN']}"}
        assert asked(plain + "api/v1/status", headers=bearer).status_code == 200
        evil = {**bearer, "host": "evil.example"}
        assert asked(plain + "api/v1/status", headers=evil).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])  # noqa: S104
def test_it_refuses_to_be_reached_by_others_without_a_token(
    demo_library: Demo, run_tagkin: RunTagkin, host: str
) -> None:
    done = run_tagkin("serve", "--library", demo_library.path, "--host", host)
    assert done.returncode == 2 and "--token" in done.stderr


def test_what_cannot_be_served_is_said(
    demo_library: Demo, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    done = run_tagkin("serve", "--library", tmp_path / "none")
    assert done.returncode == 2 and "tagkin prepare" in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_tagkin("serve", "--library", demo_library.path, "--port", port)
    assert done.returncode == 2 and "--port" in done.stderr
    done = run_tagkin("serve", "--library", demo_library.path, "--token", "short")
    assert done.returncode == 2 and "12" in done.stderr


@pytest.mark.skipif(not Path("/proc/net").exists(), reason="needs Linux")
def test_nobody_else_can_connect(demo_library: Demo) -> None:
    with serving("--library", demo_library.path, "--port", "0") as (address, process):
        port = int(re.findall(r":(\d+)/", address)[0])
        asked(address)
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]
        own = [line.split()[1] for line in listening if line.split()[3] == "0A"]
        assert f"0100007F:{port:04X}" in own
        assert f"00000000:{port:04X}" not in own
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)
