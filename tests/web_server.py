"""A web server in a thread, for tests: it gives what it is told to, well or badly."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Answers a request in its own way.
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """What a server has, and what it was asked.

    Attributes:
        address: Where it is.
        files: Content by path.
        answers: Ways to answer by path, which come before the files.
        asked: How often by method and path, such as ``GET /a.png``.
        wait: Seconds before each answer.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    wait: float = 0.0


@contextmanager
def serve_site(host: str = "127.0.0.1") -> Iterator[Site]:
    """Serves a site until the block ends."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            site.asked[f"{self.command} {path}"] += 1
            time.sleep(site.wait)
            if path in site.answers:
                site.answers[path](self)
                return
            content = site.files.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:  # a client that hangs up
            pass

    server = Server((host, 0), Handler)
    site.address = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
