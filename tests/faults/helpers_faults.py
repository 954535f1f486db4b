"""Commands that are killed, and what every fault has to leave behind."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import subprocess_environment

from tagkin.checking import Finding, check_library
from tagkin.settings import Settings

LITE0 = ("--model", "efficientnet-lite0", "--precision", "f32")

# The commands themselves, which store often, so that kills come before, in and after it, and which
# ask a store that has gone for less long.
_TAGKIN = """
from datetime import timedelta
from tagkin import embeddings, preparing, remote_files
embeddings._STORE_AFTER_VECTORS = 8
preparing._STORE_AFTER_FILES = 4
remote_files._RETRY["retry_timeout"] = timedelta(seconds=10)
from tagkin.cli.main import run
run()
"""


def start(*arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Starts a command, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _TAGKIN, *map(str, arguments)],
        env=subprocess_environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def tagkin(
    *arguments: str | Path, env: dict[str, str] | None = None, expected: int = 0
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end."""
    process = start(*arguments, env=env)
    out, err = process.communicate(timeout=240)
    assert process.returncode == expected, f"{arguments}: {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wrong(library: Path, cache_dir: Path | None = None, *, content: bool = False) -> list[Finding]:
    """What is wrong with a library, but for what a killed run may have left."""
    settings = Settings(library=library, **({"cache_dir": cache_dir} if cache_dir else {}))
    found = check_library(settings, content=content).findings
    return [one for one in found if one.level not in ("note", "leftover")]


@dataclass
class Killed:
    """A command that is killed again and again.

    Attributes:
        name: What it is called in the log.
        arguments: Of the command line, given the folder that it works in.
        fresh: Puts the state that it starts from into that folder, which is empty.
        check: Called after each kill and at the end.
        env: More of the environment.
        anew: Whether each run starts from the fresh state, not from what the kill before it left.
    """

    name: str
    arguments: Callable[[Path], tuple[str | Path, ...]]
    fresh: Callable[[Path], None]
    check: Callable[[Path], None]
    env: dict[str, str] = field(default_factory=dict)
    anew: bool = False

    def run(self, folder: Path, rounds: int, seed: int) -> int:
        """Kills it ``rounds`` times, runs it to its end, and returns how often it was killed.

        The moments are drawn from those at which an undisturbed run wrote something, and from all
        its time.
        """
        dice = random.Random(f"{self.name} {seed}")
        self._renew(folder)
        length, writes = self._measure(folder)
        self.check(folder)
        self._renew(folder)
        kills, moments = 0, []
        while kills < rounds and len(moments) < 4 * rounds:
            moment = dice.uniform(0.3, 1) * length
            if writes and dice.random() < 0.7:
                moment = max(0.0, dice.choice(writes) + dice.gauss(0, 0.03))
            moments.append(round(moment, 2))
            ran = self._kill_after(folder, moment)
            if ran is None:
                kills += 1
                self.check(folder)
                if not self.anew:
                    continue
            else:  # it came to its end before, so the machine is quicker now than it was
                writes = [one * ran / length for one in writes]
                length = ran
            self._renew(folder)
        tagkin(*self.arguments(folder), env=self.env)
        self.check(folder)
        print(
            f"{self.name}: takes {length:.1f} s and writes at {len(writes)} moments; "
            f"killed {kills} times, after {moments} s"
        )
        return kills

    def _renew(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.fresh(folder)

    def _kill_after(self, folder: Path, seconds: float) -> float | None:
        """Returns how long it took if it wasn't killed."""
        started = time.monotonic()
        process = start(*self.arguments(folder), env=self.env)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        told = process.communicate()
        if process.returncode == -signal.SIGKILL:
            return None
        assert process.returncode == 0, f"{self.name}: {process.returncode} {told}"
        return time.monotonic() - started

    def _measure(self, folder: Path) -> tuple[float, list[float]]:
        """Returns how long it takes, and the moments at which it changed something."""
        started = time.monotonic()
        writes: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            before = _look(folder)
            while not ended.wait(0.005):
                now = _look(folder)
                if now != before:
                    writes.append(time.monotonic() - started)
                before = now

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            tagkin(*self.arguments(folder), env=self.env)
        finally:
            ended.set()
            watcher.join()
        return time.monotonic() - started, writes


def _look(folder: Path) -> list[tuple[str, int, int]]:
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                status = (Path(path) / name).lstat()
            except OSError:
                continue
            found.append((f"{path}/{name}", status.st_size, status.st_mtime_ns))
    return found


def cut(file: Path) -> None:
    """Takes the second half off a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@contextmanager
def mounted(folder: Path, *options: str, source: str = "tmpfs") -> Iterator[Path]:
    """Mounts something; skips the test where that isn't allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a file system")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", *options, source, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"can't mount a file system here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Makes a folder one that can't be written, also for root."""
    with mounted(folder, "--bind", source=str(folder)):
        again = ["mount", "-o", "remount,ro,bind", str(folder)]
        if subprocess.run(again, capture_output=True, check=False).returncode:
            pytest.skip("can't mount read-only here")
        yield
