"""A client of the server as a browser on this machine is one."""

import shutil
from pathlib import Path
from typing import Any

from conftest import Demo
from fastapi import FastAPI
from fastapi.testclient import TestClient
from helpers_collection import encode, picture
from httpx2 import Response

from tagkin.settings import Settings
from tagkin.web.app import create_app

ORIGIN = "http://127.0.0.1:8756"
API = "/api/v1"


class Browser:
    """Asks a server, with the token of its pages where something is changed."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.client = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False)
        self.client.get(f"{API}/status")
        self.token = {"X-CSRF-Token": self.client.cookies.get("tagkin_csrf", "")}

    def get(self, path: str, **parameters: Any) -> Any:
        """Returns the answer to a request that succeeds, decoded."""
        answer = self.client.get(API + path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **options: Any) -> Any:
        """Returns the answer to a change that succeeds, decoded."""
        answer = self.ask("POST", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, method: str, path: str, **options: Any) -> Response:
        """Returns the answer to any request."""
        headers = {**self.token, **options.pop("headers", {})}
        return self.client.request(method, API + path, headers=headers, **options)

    def refused(self, status: int, code: str, method: str, path: str, **options: Any) -> str:
        """Returns why a request is refused."""
        answer = self.ask(method, path, **options)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert error["code"] == code, error
        return str(error["message"])


def browser_of(demo: Demo, **changes: Any) -> Browser:
    """Returns a client of a library, with some settings changed."""
    settings = demo.settings.model_copy(update=changes)
    return Browser(create_app(demo.path, settings))


def copy_demo(demo: Demo, to: Path) -> Demo:
    """Copies the demo's library, for tests that write to it."""
    path = to / "library"
    shutil.copytree(demo.path, path)
    settings: Settings = demo.settings.model_copy(update={"library": path})
    return Demo(path, settings, demo.config, demo.report)


def upload(seed: int = 1) -> dict[str, tuple[str, bytes, str]]:
    """Returns an image as the file of a form."""
    return {"file": ("picture.png", encode(picture(seed)), "image/png")}
