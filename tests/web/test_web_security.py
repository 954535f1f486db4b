"""Who may ask what, from where."""

from typing import Any

import pytest
from conftest import Demo
from fastapi.testclient import TestClient
from helpers_web import API, ORIGIN, Browser, browser_of, copy_demo, upload

from tagkin.errors import SettingsError
from tagkin.settings import load_settings
from tagkin.web.app import create_app
from tagkin.web.security import POLICY
from tagkin.web.server import check_address

TOKEN = "a secret of some length"  # noqa: S105
CHANGES = [
    (f"/images/{'0' * 32}/tags", {"json": {"add": ["x"]}}),
    ("/edits/1/undo", {}),
    ("/decisions", {"json": {"kind": "reject", "tags": ["bird", "animal"]}}),
    ("/decisions/undo", {}),
    ("/decisions/1/undo", {}),
    ("/similar", {"files": upload()}),
    ("/predict", {"files": upload()}),
]


@pytest.fixture(scope="module")
def browser(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return browser_of(copy_demo(demo_library, tmp_path_factory.mktemp("security")))


@pytest.fixture(scope="module")
def guarded(demo_library: Demo) -> TestClient:
    """A client of a server that asks for a token, which it doesn't know yet."""
    app = create_app(demo_library.path, demo_library.settings, token=TOKEN, hosts=["box.lan"])
    return TestClient(app, base_url=ORIGIN, follow_redirects=False)


@pytest.mark.parametrize("path", ["/", f"{API}/status", "/static/css/base.css", "/nothing"])
def test_only_names_of_this_machine_are_answered(browser: Browser, path: str) -> None:
    for host in ("127.0.0.1", "localhost:8756", "[::1]:8756", "LOCALHOST."):
        answer = browser.client.get(path, headers={"host": host})
        assert answer.status_code == (404 if path == "/nothing" else 200), host
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil:8756",
        "10.0.0.1",
        "",
        "*",
    ):
        answer = browser.client.get(path, headers={"host": host})
        assert answer.status_code == 403, host
        assert "--allowed-host" in answer.text


def test_a_name_can_be_allowed(guarded: TestClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "host": "box.lan:8756"}
    assert guarded.get(f"{API}/status", headers=headers).status_code == 200
    headers["host"] = "other.lan"
    assert guarded.get(f"{API}/status", headers=headers).status_code == 403


def test_all_addresses_of_the_machine_are_those_that_connections_come_to(
    demo_library: Demo,
) -> None:
    app = create_app(demo_library.path, demo_library.settings, token=TOKEN, hosts=["*"])
    client = TestClient(app, base_url="http://192.168.7.9:8756")  # which is the server's address
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.get(f"{API}/status", headers=headers).status_code == 200
    for host in ("192.168.7.10", "evil.example", "*"):
        assert client.get(f"{API}/status", headers={**headers, "host": host}).status_code == 403


@pytest.mark.parametrize(("path", "options"), CHANGES)
def test_changes_need_the_token_of_our_own_pages(
    browser: Browser, path: str, options: dict[str, Any]
) -> None:
    for token in ("", "wrong", browser.token["X-CSRF-Token"] + "x"):
        browser.refused(403, "csrf", "POST", path, headers={"X-CSRF-Token": token}, **options)
    answer = browser.ask("POST", path, **options)
    assert answer.status_code not in (401, 403)


@pytest.mark.parametrize(("path", "options"), CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},  # another server on this machine
        {"origin": "http://localhost:8756"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    ],
)
def test_changes_from_other_sites_are_refused(
    browser: Browser, path: str, options: dict[str, Any], headers: dict[str, str]
) -> None:
    browser.refused(403, "forbidden", "POST", path, headers=headers, **options)


def test_changes_from_our_own_pages_pass(browser: Browser) -> None:
    for headers in (
        {"origin": ORIGIN, "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},  # a form on a page without referrer
        {"origin": ORIGIN},
        {"origin": ORIGIN.replace("http", "https")},  # behind a proxy
    ):
        browser.refused(404, "not_found", "POST", "/edits/1/undo", headers=headers)


def test_a_form_may_bring_the_token_as_a_field(browser: Browser) -> None:
    for token, status in ((browser.token["X-CSRF-Token"], 422), ("wrong", 403), (None, 403)):
        fields = {"kind": "reject", **({"csrf_token": token} if token else {})}
        answer = browser.client.post(f"{API}/decisions", data=fields)
        assert answer.status_code == status  # as JSON it is then not understood


def test_other_sites_can_link_here_but_not_show_what_is_here(browser: Browser) -> None:
    image = browser.get("/images", limit=1)["images"][0]
    cross = {"sec-fetch-site": "cross-site"}
    link = {**cross, "sec-fetch-mode": "navigate"}
    assert browser.client.get("/", headers=link).status_code == 200
    for path in (image["thumbnail"], f"{API}/status"):
        answer = browser.client.get(path, headers={**cross, "sec-fetch-mode": "no-cors"})
        assert answer.status_code == 403
        assert browser.client.get(path).headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", f"{API}/status", f"{API}/nothing", "/static/css/base.css"])
def test_every_answer_forbids_scripts_from_elsewhere(browser: Browser, path: str) -> None:
    for headers in ({}, {"host": "evil.example"}):
        answer = browser.client.get(path, headers=headers)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "unsafe" not in POLICY and "script-src 'self'" in POLICY


def test_a_mistake_of_ours_is_an_answer_without_details(demo_library: Demo) -> None:
    browser = browser_of(demo_library)

    @browser.app.get(f"{API}/broken")
    def broken() -> None:
        raise ValueError("a secret path")

    answer = browser.client.get(f"{API}/broken")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.json()["error"]["code"] == "bug"
    assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("path", ["/", f"{API}/status", "/static/css/base.css", "/nothing"])
def test_nothing_is_shown_without_the_token(guarded: TestClient, path: str) -> None:
    guarded.cookies.clear()
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == 401
        assert TOKEN not in answer.text
    assert guarded.get(path, headers={"authorization": f"bearer {TOKEN}"}).status_code in (200, 404)


def test_the_token_in_an_address_becomes_a_cookie(guarded: TestClient) -> None:
    guarded.cookies.clear()
    answer = guarded.get("/review", params={"token": TOKEN, "a": "1 &"})
    assert answer.status_code == 303 and answer.headers["location"] == "/review?a=1+%26"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and TOKEN not in cookie
    assert guarded.get(f"{API}/status").status_code == 200
    csrf = guarded.cookies["tagkin_csrf"]
    answer = guarded.post(f"{API}/edits/1/undo", headers={"x-csrf-token": csrf})
    assert answer.status_code == 404
    guarded.cookies.clear()
    assert guarded.get("/", params={"token": TOKEN + "x"}).status_code == 401


def test_the_token_never_leads_to_another_site(guarded: TestClient) -> None:
    guarded.cookies.clear()
    for path in ("//evil.example/", "/\\evil.example/", "/%5C/evil.example", "///evil.example"):
        request = guarded.build_request("GET", ORIGIN)
        request.url = request.url.copy_with(
            raw_path=f"{path}?token={TOKEN}".encode().replace(b" ", b"+")
        )
        answer = guarded.send(request)
        location = answer.headers.get("location", "/ok")
        assert location[:1] == "/" and location[1:2] not in ("/", "\\"), location


def test_guessing_the_token_is_slowed_down(demo_library: Demo) -> None:
    app = create_app(demo_library.path, demo_library.settings, token=TOKEN)
    client = TestClient(app, base_url=ORIGIN)
    answers = [client.get(f"/?token=guess{n}") for n in range(40)]
    assert [answer.status_code for answer in answers[:30]] == [401] * 30
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../pyproject.toml",
        "/static/%2e%2e/%2e%2e/settings.py",
        "/static/..%2f..%2fsettings.py",
        "/static/css/..%5c..%5c..%5csettings.py",
        f"{API}/images/../../../etc/passwd",
        f"{API}/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd/file",
        f"{API}/images/%2fetc%2fpasswd/file",
        f"{API}/images/{'0' * 31}%00/file",
        f"{API}/images/{'0' * 32}/file",
        f"{API}/images/{'0' * 32}/thumbnail",
        f"{API}/uploads/..%2f..%2fx/thumbnail",
        f"{API}/export/..%2fdecisions",
    ],
)
def test_no_address_leads_to_another_file(browser: Browser, path: str) -> None:
    request = browser.client.build_request("GET", ORIGIN)
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = browser.client.send(request)
    assert answer.status_code in (404, 422), answer.text
    assert "root:" not in answer.text and "Settings" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_change_nothing(browser: Browser, method: str) -> None:
    image = browser.get("/images", limit=1)["images"][0]["id"]
    assert browser.ask(method, f"/images/{image}").status_code == 405


def test_beyond_this_machine_only_with_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "box.lan"):  # noqa: S104
        with pytest.raises(SettingsError, match="--token"):
            check_address(load_settings({"serve_host": host}))
        check_address(load_settings({"serve_host": host, "serve_token": TOKEN}))
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        check_address(load_settings({"serve_host": host}))
    with pytest.raises(SettingsError, match="12"):
        load_settings({"serve_token": "short"})
