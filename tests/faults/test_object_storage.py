"""A library on object storage whose server fails, and whose writers are killed or meet."""

import http.client
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers_collection import collection
from helpers_faults import LITE0, start, tagkin, wrong
from object_store import Bucket

from tagkin.library import Library
from tagkin.remote_paths import as_path

pytestmark = pytest.mark.fault

SEED = 4


class Trouble(ThreadingHTTPServer):
    """Passes requests on to a store; answers a share of them with 503 instead."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(bucket.endpoint).netloc
        self.share = 0.0
        self.refused = 0
        self.dice = random.Random(SEED)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Trouble

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.dice.random() < self.server.share:
            self.server.refused += 1
            self._answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
            return
        behind = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _NOT_PASSED]
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(answer.status, kept, answer.read(), length)
        finally:
            behind.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """All methods are passed on."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


_NOT_PASSED = {"content-length", "transfer-encoding", "connection"}


@pytest.fixture
def trouble(object_store: Bucket) -> Iterator[Trouble]:
    server = Trouble(object_store)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return collection(tmp_path / "pictures", 60)


def test_a_store_that_is_busy_is_asked_again(
    trouble: Trouble, object_store: Bucket, pictures: Path, tmp_path: Path
) -> None:
    env = {"AWS_ENDPOINT": trouble.address}
    library = object_store.address("busy/library")
    trouble.share = 0.2
    tagkin("prepare", pictures, "--library", library, env=env)
    tagkin("embed", *LITE0, "--library", library, env=env)
    tagkin("check", "--library", library, env=env)
    assert trouble.refused >= 10
    local = tmp_path / "local"
    tagkin("prepare", pictures, "--library", local)
    tagkin("embed", *LITE0, "--library", local)
    there, here = Library.open(as_path(library)), Library.open(local)
    assert there.images() == here.images()
    (fingerprint,) = there.fingerprints()
    np.testing.assert_array_equal(there.vectors(fingerprint)[1], here.vectors(fingerprint)[1])
    print(f"{trouble.refused} requests were refused")


def test_a_store_that_fails_is_one_clear_error_and_loses_nothing(
    trouble: Trouble, object_store: Bucket, pictures: Path
) -> None:
    env = {"AWS_ENDPOINT": trouble.address}
    library = object_store.address("failing/library")
    tagkin("prepare", pictures, "--library", library, env=env)
    before = Library.open(as_path(library)).images()
    # It begins to fail while vectors are written; each command tries for a while.
    code, told = _embed_until_away(trouble, library, env)
    if code:
        assert "failing/library" in told.replace("\n", "")
    opened = start("similar", "--tag", "x", "--library", library, env=env)
    _, told = opened.communicate(timeout=600)
    assert opened.returncode == 2
    assert "Traceback" not in told
    assert "503" in told.replace("\n", "")
    trouble.share = 0.0
    assert Library.open(as_path(library)).images() == before
    tagkin("embed", *LITE0, "--library", library, env=env)
    assert len(_vectors(library)) == len(before)
    assert wrong(as_path(library)) == []


def test_images_on_a_store_that_is_busy_or_goes_away(
    trouble: Trouble, object_store: Bucket, pictures: Path, tmp_path: Path
) -> None:
    env = {"AWS_ENDPOINT": trouble.address}
    source = object_store.put_folder(pictures, "photos")
    tagkin("prepare", pictures, "--library", tmp_path / "local")
    expected = {row.id: row.tags for row in Library.open(tmp_path / "local").images()}
    library = tmp_path / "library"
    trouble.share = 0.2
    tagkin("prepare", source, "--library", library, env=env)
    assert trouble.refused >= 10
    assert {row.id: row.tags for row in Library.open(library).images()} == expected
    # It goes away for good while vectors are made: the command doesn't try each image.
    trouble.share = 0.0
    some = {**env, "TAGKIN_DOWNLOAD_THREADS": "4"}  # else all are read before the first vector
    code, told = _embed_until_away(trouble, str(library), some)
    if code:
        assert "10 files in a row" in told.replace("\n", " ")
    stored = len(_vectors(str(library)))
    assert stored >= 8
    process = start("prepare", source, "--library", tmp_path / "new", env=env)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 2
    assert "503" in told.replace("\n", "")
    trouble.share = 0.2
    tagkin("embed", *LITE0, "--library", library, env=env)
    assert len(_vectors(str(library))) == 60
    assert Library.open(library).problems() == []
    assert wrong(library) == []
    print(f"{stored} vectors were stored when it went away")


def test_killed_writers(object_store: Bucket, pictures: Path) -> None:
    library = object_store.address("killed/library")
    dice = random.Random(SEED)
    prepared = _killed(dice, 4, "prepare", str(pictures), "--library", library)
    images = len(Library.open(as_path(library)).image_ids())
    embedded = _killed(dice, 6, "embed", *LITE0, "--library", library)
    assert (images, len(_vectors(library))) == (60, 60)
    assert wrong(as_path(library)) == []
    print(f"killed {prepared} and {embedded} times")
    assert prepared + embedded >= 4


def test_two_machines_at_once(object_store: Bucket, pictures: Path, tmp_path: Path) -> None:
    library = object_store.address("both/library")
    other = collection(tmp_path / "others", 80)
    machines = [{"TAGKIN_CACHE_DIR": str(tmp_path / name)} for name in ("one", "two")]
    both = [
        start("prepare", source, "--library", library, env=env)
        for source, env in zip((pictures, other), machines, strict=True)
    ]
    told = [process.communicate(timeout=240)[1] for process in both]
    for process, text in zip(both, told, strict=True):
        assert "Traceback" not in text
        assert process.returncode == 0 or "is at work on" in text.replace("\n", " ")
    for source in (pictures, other):
        tagkin("prepare", source, "--library", library)
    both = [start("embed", *LITE0, "--library", library, env=env) for env in machines]
    for process in both:
        _, text = process.communicate(timeout=240)
        assert process.returncode == 0, text
    opened = Library.open(as_path(library))
    assert len(_vectors(library)) == len(opened.image_ids())
    assert wrong(as_path(library)) == []


def _embed_until_away(trouble: Trouble, library: str, env: dict[str, str]) -> tuple[int, str]:
    """Embeds, and has the store go away with the first vectors; returns what came of it."""
    running = start("embed", *LITE0, "--library", library, env=env)
    while not _vectors(library) and running.poll() is None:
        time.sleep(0.02)
    trouble.share = 1.0
    _, told = running.communicate(timeout=600)
    assert "Traceback" not in told
    return running.returncode, told


def _vectors(library: str) -> list[str]:
    opened = Library.open(as_path(library))
    found = opened.fingerprints()
    return opened.vectors(found[0])[0] if found else []


def _killed(dice: random.Random, rounds: int, *command: str) -> int:
    """Kills a command at drawn moments, then lets it end; returns how often it was killed."""
    length, kills = 4.0, 0
    for _ in range(rounds):
        started = time.monotonic()
        process = start(*command)
        try:
            process.wait(dice.uniform(0.3, 1) * length)
            length = time.monotonic() - started
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    tagkin(*command)
    return kills
