"""The documented interface, asked for everything that its document allows, and more."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from conftest import Demo
from helpers_web import API, Browser, browser_of, copy_demo
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

HOST = "127.0.0.1"

_browsers: list[Browser] = []


@pytest.fixture(scope="module")
def api_schema(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    demo = copy_demo(demo_library, tmp_path_factory.mktemp("openapi"))
    browser = browser_of(
        demo, serve_uploads_per_minute=100_000, serve_uploads_at_once=8, serve_upload_bytes=100_000
    )
    _browsers[:] = [browser]
    yield schemathesis.openapi.from_asgi(
        f"{API}/openapi.json", browser.app, headers={"Host": HOST}
    )


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_a_server_error(case: Any) -> None:
    headers = {"Host": HOST, **_browsers[0].token}
    answer = case.call(headers=headers)
    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])


def test_the_document_names_every_route(demo_library: Demo) -> None:
    browser = browser_of(demo_library)
    document = browser.get("/openapi.json")
    paths = {path.removeprefix(API) for path in document["paths"]}
    assert paths == {
        "/images",
        "/images/{image}",
        "/images/{image}/file",
        "/images/{image}/thumbnail",
        "/images/{image}/tags",
        "/edits/{number}/undo",
        "/similar",
        "/uploads/{key}/thumbnail",
        "/predict",
        "/tags",
        "/tags/{tag}",
        "/complete",
        "/variants",
        "/variants/{proposal}",
        "/decisions",
        "/decisions/undo",
        "/decisions/{number}/undo",
        "/suspects",
        "/duplicates",
        "/status",
        "/export/{what}",
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description") or operation.get("summary"), (method, path)
            assert "422" in operation["responses"], (method, path)


def test_no_page_of_others_is_needed_to_read_it(demo_library: Demo) -> None:
    browser = browser_of(demo_library)
    for path in ("/docs", "/redoc"):
        assert browser.client.get(path).status_code == 404
