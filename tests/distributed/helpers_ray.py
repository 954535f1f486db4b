"""A library for tests with Ray, and what runs while a command embeds it."""

import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from conftest import subprocess_environment

from tagkin.hardware import usable_cores
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source

#: Two, unless this machine has a single core.
WORKERS = str(min(2, usable_cores()))


def made_library(images: list[Path], settings: Settings, folder: Path) -> Library:
    """Returns the library of some drawings, the last five of which lie in a tar archive."""
    source = folder / "images"
    source.mkdir()
    for path in images[:-5]:
        shutil.copy(path, source)
    shards = folder / "shards"
    shards.mkdir()
    with tarfile.open(shards / "00000.tar", "w") as tar:
        for path in images[-5:]:
            tar.add(path, path.name)
    library = Library.create_or_open(folder / "library")
    for one in (source, shards):
        prepare(library, open_source(one), settings)
    return library


def stored(library: Library, fingerprint: str) -> list[str]:
    """Returns the ids of all rows with vectors, copies and all, in ascending order."""
    return sorted(one.decode() for one in library.stored_vectors(fingerprint).ids.tolist())


def begin(*arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Starts the command line, to be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "tagkin", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=subprocess_environment(env),
    )


def workers_of(driver: int) -> list[int]:
    """Returns the processes below another one that are at work as Ray's workers."""
    return [one for one in descendants(driver) if b"ray::Worker.extract" in command(one)]


def descendants(process: int) -> set[int]:
    """Returns the processes that a process started, directly or not."""
    parents = dict(_parents())
    found: set[int] = set()
    while new := {one for one, parent in parents.items() if parent in {process, *found}} - found:
        found |= new
    return found


def wait_until(true: Callable[[], object], seconds: float = 90) -> None:
    """Waits for something to become true.

    Raises:
        TimeoutError: It doesn't.
    """
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:g} seconds")
        time.sleep(0.05)


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text("utf-8", "replace")
        except OSError:
            continue
        state, parent = status.rpartition(")")[2].split()[:2]
        if state != "Z":
            yield int(folder.name), int(parent)


def command(process: int) -> bytes:
    """Returns the command line of a process, as Ray may have renamed it."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def in_tree(processes: set[int]) -> set[int]:
    """Returns those of some processes that still run."""
    return {one for one, _ in _parents()} & processes
