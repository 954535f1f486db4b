"""The pages in a real browser: search, pivot, filter, review, tag, export, and hostile tags.

Skipped, with a message, where Chromium or Playwright is missing.
"""

import csv
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers_hostile import hostile_library
from helpers_pages import copy_of, propose, served

if TYPE_CHECKING:
    from conftest import Demo
    from playwright.sync_api import Browser, Page

    from tagkin.backbones import BackboneConfig, Runtime
    from tagkin.settings import Settings

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install playwright runs the browser tests"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium runs the browser tests"
)
expect = sync_api.expect

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES = ("/", "/review", "/vocabulary", "/suspects", "/duplicates", "/status", "/export")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(demo_library: "Demo", tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo's library, served; tests that decide or edit take it back."""
    path = copy_of(demo_library.path, tmp_path_factory.mktemp("site") / "library")
    settings = demo_library.settings.model_copy(update={"library": path})
    propose(path, settings, demo_library.config)
    with served(path, settings) as address:
        yield address


@pytest.fixture(scope="module")
def hostile_site(
    lite0: "Runtime",
    lite0_config: "BackboneConfig",
    lite0_settings: "Settings",
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    path, settings = hostile_library(lite0, lite0_config, lite0_settings, tmp_path_factory)
    copy = copy_of(path, tmp_path_factory.mktemp("site") / "hostile")
    with served(copy, settings.model_copy(update={"library": copy})) as address:
        yield address


@contextmanager
def opened(
    browser: "Browser",
    site: str,
    path: str = "/",
    *,
    size: dict[str, int] = WIDE,
    **options: object,
) -> Iterator["Page"]:
    """A page in a fresh window. Whatever the browser complains of fails the test."""
    context = browser.new_context(base_url=site, viewport=size, **options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    page.goto(path)
    yield page
    assert not complaints
    context.close()


@pytest.fixture
def page(browser: "Browser", site: str) -> Iterator["Page"]:
    with opened(browser, site) as page:
        yield page


def _search(page: "Page", text: str) -> None:
    page.get_by_role("combobox", name="Tags").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"[?&]q="))


def test_search_by_upload_pivot_and_filter(page: "Page", demo_images: list[Path]) -> None:
    drawing = next(path for path in demo_images if "dog_on_leash" in path.name)
    page.set_input_files("#file", drawing)
    page.wait_for_url(re.compile("upload="))
    first = page.locator("#grid .thumb").first
    expect(first.locator(".value")).to_have_text("1.00")  # the library has this very drawing
    expect(page.locator(".asked img")).to_be_visible()

    page.locator("#shares a").first.click()
    expect(page.locator("#chips .tag")).to_have_count(1)
    tag = page.locator("#chips .tag span").first.inner_text()
    assert "upload=" in page.url
    labels = page.locator("#grid .thumb img").evaluate_all("all => all.map(one => one.alt)")
    assert labels
    page.locator("#chips .off").click()
    expect(page.locator("#chips")).to_have_count(0)
    assert tag

    page.locator("#grid .thumb > a").nth(1).click()
    page.wait_for_url(re.compile("/images/"))
    page.get_by_role("link", name="More like this").click()
    page.wait_for_url(re.compile(r"\?id="))
    expect(page.locator(".asked")).to_contain_text("Images like")
    page.locator("#grid .thumb").first.hover()
    page.locator("#grid .thumb .kin", has_text="+").first.click()
    page.wait_for_url(re.compile(r"id=.*id="))
    expect(page.locator(".asked img")).to_have_count(2)


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_an_image_can_be_pasted_and_dropped(page: "Page", way: str) -> None:
    page.evaluate(
        """async (way) => {
          const image = document.querySelector("#grid img");
          const blob = await (await fetch(image.src)).blob();
          const data = new DataTransfer();
          data.items.add(new File([blob], "some.webp", { type: "image/webp" }));
          const event = way === "paste"
            ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        way,
    )
    page.wait_for_url(re.compile("upload="))
    expect(page.locator("#grid .thumb").first).to_be_visible()


def test_what_is_no_image_is_refused_in_words(
    browser: "Browser", site: str, tmp_path: Path
) -> None:
    fake = tmp_path / "no.png"
    fake.write_bytes(b"no image at all")
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#file", fake)
    expect(page.locator(".toast.bad")).to_contain_text("can't be read as an image")
    context.close()


def test_tags_are_completed(page: "Page") -> None:
    box = page.get_by_role("combobox", name="Tags")
    box.press_sequentially("animal -bir")
    expect(page.get_by_role("option").first).to_contain_text("bird")
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("animal -bird ")
    box.press("Enter")
    expect(page.locator("#chips .tag")).to_have_count(2)
    page.get_by_role("link", name="Without the filter animal").click()
    expect(page.locator("#chips .tag")).to_have_count(1)


def test_scrolling_goes_through_all_images_and_keeps_few(page: "Page") -> None:
    total = int(page.locator("#total").inner_text().split()[0].replace(",", ""))
    seen: set[str] = set()
    most = 0
    for _ in range(100):
        seen |= set(
            page.locator("#grid .thumb > a").evaluate_all("all => all.map(a => a.pathname)")
        )
        most = max(most, page.locator("#grid .thumb").count())
        if len(seen) == total:
            break
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(40)
    assert len(seen) == total
    assert most < 150
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator('[data-place="0"]')).to_be_visible()


def test_lines_are_justified_and_nothing_moves(browser: "Browser", site: str) -> None:
    with opened(browser, site) as page:
        ends = page.locator("#grid .line").evaluate_all(
            """lines => lines.slice(0, 3).map(line =>
              line.getBoundingClientRect().right
              - line.lastElementChild.getBoundingClientRect().right)"""
        )
        assert all(abs(end) < 1.5 for end in ends)
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(300)
        moved = page.evaluate(
            """() => new Promise(done => {
              let sum = 0;
              new PerformanceObserver(list => list.getEntries().forEach(one => {
                if (!one.hadRecentInput) sum += one.value;
              })).observe({ type: "layout-shift", buffered: true });
              setTimeout(() => done(sum), 300);
            })"""
        )
        assert moved < 0.1  # Google's limit of a good page


def test_the_grid_is_walked_by_keys(page: "Page") -> None:
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.parentElement.dataset.place") == "2"
    page.keyboard.press("ArrowDown")
    below = int(page.evaluate("document.activeElement.parentElement.dataset.place"))
    assert below > 2
    page.keyboard.press("ArrowUp")
    assert abs(int(page.evaluate("document.activeElement.parentElement.dataset.place")) - 2) <= 1
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.locator("#grid a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/images/"))


def _progress(page: "Page") -> int:
    return int(page.locator("#progress").inner_text().split()[0])


def test_review_accepts_undoes_rejects_skips_and_swaps(browser: "Browser", site: str) -> None:
    with opened(browser, site, "/review") as page:
        before = _progress(page)
        group = page.locator("#group").get_attribute("data-group")
        kept = page.locator("input[name=kept]:checked").get_attribute("value")
        page.keyboard.press("w")
        swapped = page.locator("input[name=kept]:checked").get_attribute("value")
        assert swapped != kept
        expect(page.locator("[data-act=merge]")).to_contain_text(str(swapped))

        page.keyboard.press("y")
        expect(page.locator(".toast").last).to_contain_text(f"into “{swapped}”")
        assert _progress(page) == before + 1
        assert page.locator("#group").get_attribute("data-group") != group

        page.keyboard.press("u")
        expect(page.locator(".toast").last).to_contain_text("Undone")
        assert _progress(page) == before
        assert page.locator("#group").get_attribute("data-group") == group

        page.keyboard.press("s")
        expect(page.locator("#group")).not_to_have_attribute("data-group", str(group))
        skipped_to = page.locator("#group").get_attribute("data-group")
        page.keyboard.press("n")
        expect(page.locator(".toast").last).to_contain_text("Kept apart")
        assert page.locator("#group").get_attribute("data-group") not in (group, skipped_to)
        page.locator("#decided [data-undo-number]").first.click()
        expect(page.locator(".toast").last).to_contain_text("Undone")
        assert _progress(page) == before


def test_a_newcomer_is_led_to_a_first_merge(browser: "Browser", site: str) -> None:
    with opened(browser, site) as page:
        page.get_by_role("link", name="Review them").click()
        expect(page.locator("#group")).to_contain_text("Do these tags mean the same thing?")
        page.get_by_role("button", name="Yes, merge into").click()
        toast = page.locator(".toast").last
        expect(toast).to_contain_text("Merged")
        toast.get_by_role("button", name="Undo").click()
        expect(page.locator(".toast").last).to_contain_text("Undone")


def test_review_notes_implications_and_relations(browser: "Browser", site: str) -> None:
    with opened(browser, site, "/review") as page:
        before = page.locator("#decided tbody tr").count()
        for key, said in (("i", "now implies"), ("I", "now implies"), ("r", "Noted as related")):
            page.keyboard.press(key)
            expect(page.locator(".toast").last).to_contain_text(said)
            page.keyboard.press("u")
            expect(page.locator(".toast").last).to_contain_text("Undone")
        assert page.locator("#decided tbody tr").count() >= before


def test_tags_are_added_and_removed_with_a_way_back(browser: "Browser", site: str) -> None:
    with opened(browser, site, "/?q=bird") as page:
        page.locator("#grid .thumb > a").first.click()
        page.wait_for_url(re.compile("/images/"))
        tags = page.locator("#tags .tags").first
        box = page.get_by_role("combobox", name="Tag to add")
        box.fill("a tag of my own")
        box.press("Enter")
        expect(tags).to_contain_text("a tag of my own")
        page.locator(".toast [data-undo]").click()
        expect(tags).not_to_contain_text("a tag of my own")

        page.get_by_role("button", name="Remove the tag bird", exact=True).click()
        expect(page.locator("#tags .not")).to_contain_text("bird")
        page.get_by_role("button", name="Put the tag bird back").click()
        expect(page.get_by_role("button", name="Remove the tag bird", exact=True)).to_be_visible()


def test_a_suspect_is_put_right_and_taken_back(browser: "Browser", site: str) -> None:
    with opened(browser, site, "/suspects") as page:
        card = page.locator(".suspect").first
        card.wait_for(timeout=60_000)
        tag, image = card.get_attribute("data-tag"), card.get_attribute("data-image")
        card.get_by_role("button", name="Add it").click()
        expect(card.locator(".done-of-card")).to_contain_text("Added")
        added = page.request.get(f"/api/v1/images/{image}").json()
        assert tag in [one["tag"] for one in added["tags"]]
        card.get_by_role("button", name="Undo").click()
        expect(card.get_by_role("button", name="Add it")).to_be_visible()
        undone = page.request.get(f"/api/v1/images/{image}").json()
        assert tag not in [one["tag"] for one in undone["tags"]]


def test_decisions_are_exported(browser: "Browser", site: str, tmp_path: Path) -> None:
    with opened(browser, site, "/review") as page:
        page.keyboard.press("y")
        expect(page.locator(".toast").last).to_contain_text("Merged")
        page.goto("/export")
        with page.expect_download() as download:
            page.locator("a[href*='export/decisions?format=csv']").click()
        download.value.save_as(tmp_path / "decisions.csv")
        rows = list(csv.reader((tmp_path / "decisions.csv").open(encoding="utf-8")))
        assert any("merge" in row for row in rows)
        page.goto("/review")
        page.keyboard.press("u")
        expect(page.locator(".toast").last).to_contain_text("Undone")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_fit_narrow_screens(browser: "Browser", site: str, path: str, colours: str) -> None:
    with opened(browser, site, path, size=NARROW, color_scheme=colours) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_the_colours_that_were_chosen_stay(page: "Page") -> None:
    button = page.locator("#theme")
    button.click()
    button.click()
    page.goto("/vocabulary")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    button.click()
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""


def test_pages_work_without_scripts(browser: "Browser", site: str) -> None:
    with opened(browser, site, "/?q=-animal", java_script_enabled=False) as page:
        first = page.locator("#grid .thumb").count()
        assert first == 60
        page.get_by_role("link", name="More images").click()
        assert page.locator("#grid .thumb").count() > 0
        page.locator("#grid .thumb > a").first.click()
        expect(page.locator("#predicted li").first).to_be_visible()


def test_hostile_tags_do_nothing(browser: "Browser", hostile_site: str) -> None:
    with opened(browser, hostile_site) as page:
        for path in (*PAGES, "/suspects?kind=wrong", "/vocabulary?sort=name"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("window.pwned") is None, path
        page.goto("/")
        page.get_by_role("combobox", name="Tags").press_sequentially("<s")
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("q="))
        page.locator("#grid .thumb > a").first.click()
        page.wait_for_url(re.compile("/images/"))
        page.locator("#tags [data-change=remove]").first.click()
        expect(page.locator(".toast")).to_contain_text("Removed")
        page.goto("/review")
        page.keyboard.press("y")
        expect(page.locator(".toast")).to_contain_text("Merged")
        assert page.evaluate("window.pwned") is None
