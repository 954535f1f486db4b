"""What is read from web servers, and what isn't."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest
from web_server import Site, serve_site

from tagkin import web_files
from tagkin.errors import ImageError, ImageTooLargeError
from tagkin.web_files import WebRules, fetch, head

RULES = WebRules(5.0, ("127.0.0.1",))


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_files, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site() as site:
        yield site


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    headers.setdefault("Content_Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def test_a_file_is_read_with_its_time(site: Site) -> None:
    site.files["/a%20b.png"] = b"content"
    found = fetch(f"{site.address}/a b.png", RULES, most=100)
    assert (found.data, found.size) == (b"content", 7)
    assert found.changed == 1_445_412_480 * 10**9
    asked = head(f"{site.address}/a b.png", RULES)
    assert (asked.data, asked.size, asked.changed) == (b"", 7, found.changed)


def test_a_connection_is_used_again(site: Site) -> None:
    site.files["/a"] = b"x"
    for _ in range(3):
        fetch(f"{site.address}/a", RULES, most=10)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: fetch(f"{site.address}/a", RULES, most=10).data, range(40))
        assert list(found) == [b"x"] * 40


def test_an_etag_stands_for_a_time(site: Site) -> None:
    site.answers["/a"] = lambda handler: say(handler, 200, b"x", ETag='"1"')
    site.answers["/b"] = lambda handler: say(handler, 200, b"x", ETag='"2"')
    times = [fetch(f"{site.address}/{name}", RULES, most=10).changed for name in "aab"]
    assert times[0] == times[1] != times[2]


def test_what_comes_in_chunks_is_read(site: Site) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    site.answers["/a"] = answer
    assert fetch(f"{site.address}/a", RULES, most=10).data == b"abcde"
    with pytest.raises(ImageTooLargeError):
        fetch(f"{site.address}/a", RULES, most=4)


def test_a_missing_file_is_asked_for_once(site: Site) -> None:
    with pytest.raises(ImageError, match="the server answers 404"):
        fetch(f"{site.address}/none", RULES, most=10)
    assert site.asked["GET /none"] == 1


def test_what_passes_is_tried_again(site: Site) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if site.asked["GET /a"] < 3:
            say(handler, 503)
        else:
            say(handler, 200, b"there")

    site.answers["/a"] = answer
    assert fetch(f"{site.address}/a", RULES, most=10).data == b"there"
    site.answers["/b"] = lambda handler: say(handler, 503)
    with pytest.raises(ImageError, match="503"):
        fetch(f"{site.address}/b", RULES, most=10)
    assert site.asked["GET /b"] == 4


def test_a_large_file_is_not_read(site: Site) -> None:
    site.files["/a"] = b"x" * 1000
    with pytest.raises(ImageTooLargeError, match="max_image_bytes"):
        fetch(f"{site.address}/a", RULES, most=999)


def test_half_a_file_is_none(site: Site) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        say(handler, 200, b"half", Content_Length="8")
        handler.close_connection = True

    site.answers["/a"] = answer
    with pytest.raises(ImageError, match="can't be read"):
        fetch(f"{site.address}/a", RULES, most=100)


def test_what_never_ends_is_given_up(site: Site) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    site.answers["/a"] = drip
    site.answers["/b"] = lambda _: time.sleep(3)
    for name in "ab":
        start = time.monotonic()
        with pytest.raises(ImageError, match="in time"):
            fetch(f"{site.address}/{name}", WebRules(0.5, RULES.private_hosts), most=1000)
        assert time.monotonic() - start < 2


def test_it_may_lead_on_within_a_server_only(site: Site) -> None:
    site.files["/there"] = b"x"
    site.answers["/a"] = lambda handler: say(handler, 302, Location="/there")
    assert fetch(f"{site.address}/a", RULES, most=10).data == b"x"
    with serve_site() as other:
        other.files["/secret"] = b"secret"
        for to in (
            f"{other.address}/secret",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "http://user@127.0.0.1/there",
        ):
            site.answers["/b"] = lambda handler, to=to: say(handler, 301, Location=to)  # type: ignore[misc]
            with pytest.raises(ImageError, match="another server, which was not named"):
                fetch(f"{site.address}/b", RULES, most=10)
        assert not other.asked
    site.answers["/c"] = lambda handler: say(handler, 307, Location="/c")
    with pytest.raises(ImageError, match="on and on"):
        fetch(f"{site.address}/c", RULES, most=10)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0", "169.254.169.254", "10.1.2.3", "2130706433"],
)
def test_private_addresses_are_not_asked(site: Site, host: str) -> None:
    port = site.address.rpartition(":")[2]
    with pytest.raises(ImageError, match=r"private_hosts|no host"):
        fetch(f"http://{host}:{port}/a", WebRules(1.0), most=10)
    assert not site.asked


def test_a_name_that_stands_for_a_private_address_is_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ImageError, match="private network"):
        fetch("http://images.example.org/a", WebRules(1.0), most=10)
    assert not site.asked


def test_what_isn_t_http_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"nonsense\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(ImageError, match="can't be read from"):
            fetch(f"http://127.0.0.1:{port}/a", RULES, most=10)
        with pytest.raises(ImageError, match="can't be read"):
            fetch(f"https://127.0.0.1:{port}/a", RULES, most=10)
