"""A server for the tests of pages: the demo's library with everything that there is to see."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi.testclient import TestClient

from tagkin.backbones import BackboneConfig
from tagkin.library import Library
from tagkin.settings import Settings, load_settings
from tagkin.variants.in_library import find_in_library
from tagkin.variants.stored import save_proposals
from tagkin.web.app import create_app

HOST = "127.0.0.1"


def propose(path: Path, settings: Settings, config: BackboneConfig) -> None:
    """Looks for variants, as ``tagkin variants`` does."""
    library = Library.open(path)
    save_proposals(library, find_in_library(library, config.fingerprint, settings))


def copy_of(path: Path, to: Path) -> Path:
    """Copies a library for a test that changes it."""
    shutil.copytree(path, to)
    return to


@contextmanager
def client_of(path: Path, settings: Settings | None = None) -> Iterator[TestClient]:
    """Asks the application directly, as a browser on this machine would."""
    app = create_app(path, settings or load_settings({"library": path}))
    with TestClient(app, base_url=f"http://{HOST}:8000") as client:
        yield client


@contextmanager
def served(path: Path, settings: Settings) -> Iterator[str]:
    """Serves a library on a free port and gives its address."""
    config = uvicorn.Config(
        create_app(path, settings), host=HOST, port=0, log_level="warning", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the server doesn't start"
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
