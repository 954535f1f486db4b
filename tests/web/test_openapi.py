"""The documented interface, asked for everything that its document allows, and more."""

from typing import Any

import pytest
import schemathesis
from conftest import Demo
from helpers_web import API, Browser, browser_of, copy_demo
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def browser(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    demo = copy_demo(demo_library, tmp_path_factory.mktemp("openapi"))
    return browser_of(
        demo, serve_uploads_per_minute=100_000, serve_uploads_at_once=8, serve_upload_bytes=100_000
    )


def test_no_request_is_a_server_error(browser: Browser) -> None:
    headers = {"Host": HOST}
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", browser.app, headers=headers)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    asked = dict.fromkeys((operation.label for operation in operations), 0)
    for operation in operations:

        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answer = case.call(headers={**headers, **browser.token})
            case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
            assert answer.status_code not in (401, 403)
            asked[case.operation.label] += 1

        ask()
    assert all(count >= 1 for count in asked.values())


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
