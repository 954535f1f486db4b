"""Takes the pictures of the pages for the documentation, of the library that ``tagkin demo`` made.

tagkin demo && pip install playwright
python examples/make_screenshots.py --library tagkin-demo --output docs/pictures

Needs Chromium (``apt-get install chromium``). Decides and edits nothing.
"""

import argparse
import io
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tagkin.library import Library
from tagkin.settings import load_settings
from tagkin.web.app import create_app

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
_COLOURS = ("light", "dark")
_QUALITY = 66


@dataclass(frozen=True)
class Shot:
    """A page to be shown.

    Attributes:
        name: Of the picture.
        path: Of the page, or of the page from which ``steps`` lead to it.
        steps: Selectors that are clicked one after the other.
        ready: A selector that is waited for.
    """

    name: str
    path: str
    steps: tuple[str, ...] = ()
    ready: str = "main"


SHOTS = (
    Shot("search", "/?q=animal", ready="#grid .thumb"),
    Shot("similar", "/?q=penguin", ("#grid .thumb > a", "text=More like this"), "#grid .thumb"),
    Shot("image", "/?q=horse", ("#grid .thumb > a",), "#predicted li"),
    Shot("review", "/review", ready="#group"),
    Shot("vocabulary", "/vocabulary", ready="tbody tr"),
    Shot("suspects", "/suspects", ready=".suspect"),
    Shot("duplicates", "/duplicates", ready=".group"),
    Shot("status", "/status", ready="tbody tr"),
    Shot("export", "/export", ready=".card"),
)


def main() -> None:
    """Takes all pictures: wide and narrow, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=Path("tagkin-demo"))
    parser.add_argument("--output", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="program")
    parser.add_argument("--only", default="", help="names of shots, separated by commas")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    wanted = [
        shot for shot in SHOTS if not arguments.only or shot.name in arguments.only.split(",")
    ]
    with served(arguments.library) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=list(_ARGUMENTS)
        )
        for size, (width, height) in _SIZES.items():
            for colours in _COLOURS:
                context = browser.new_context(
                    base_url=address,
                    viewport={"width": width, "height": height},
                    color_scheme=colours,
                    reduced_motion="reduce",
                    locale="en-GB",
                )
                for shot in wanted:
                    page = context.new_page()
                    take(page, shot, arguments.output / f"serve-{shot.name}-{size}-{colours}.webp")
                    page.close()
                context.close()
        browser.close()


def take(page: Page, shot: Shot, to: Path) -> None:
    """Opens a page and stores what it looks like as WebP."""
    page.goto(shot.path)
    for step in shot.steps:
        page.locator(step).first.click()
        page.wait_for_load_state("networkidle")
    page.locator(shot.ready).first.wait_for(timeout=120_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    # Pictures need not tell the folders of whoever took them.
    page.evaluate(
        """() => document.querySelectorAll(".folder").forEach(
          place => { place.textContent = place.textContent.split("/").pop(); })"""
    )
    Image.open(io.BytesIO(page.screenshot())).save(to, "WEBP", quality=_QUALITY, method=6)


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Serves a library on a free port of this machine."""
    settings = load_settings({"library": path}, Library.open(path).state.remembered)
    server = uvicorn.Server(
        uvicorn.Config(create_app(path, settings), host="127.0.0.1", port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise SystemExit("the server doesn't start")
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


if __name__ == "__main__":
    main()
