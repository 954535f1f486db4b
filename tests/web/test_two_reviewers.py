"""Reviewers and programs at the same time: nothing that was decided is lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Demo
from helpers_web import Browser, browser_of, copy_demo

from tagkin.library import Library


@pytest.fixture
def shared(demo_library: Demo, tmp_path: Path) -> tuple[Demo, Browser]:
    demo = copy_demo(demo_library, tmp_path)
    return demo, browser_of(demo)


def at_once(*jobs: Callable[[], None]) -> None:
    """Runs all jobs at the same time and raises what any of them raised."""
    ready = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        ready.wait(30)
        job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(run, job) for job in jobs]:
            done.result()


def pairs_of(browser: Browser, count: int) -> list[tuple[str, str]]:
    tags = [tag["tag"] for tag in browser.get("/tags", limit=200)["tags"]]
    return list(zip(tags[0 : 2 * count : 2], tags[1 : 2 * count : 2], strict=True))


def sorted_pair(pair: tuple[str, str]) -> tuple[str, ...]:
    return tuple(sorted(pair))


def test_two_reviewers_and_the_command_line_lose_no_decision(shared: tuple[Demo, Browser]) -> None:
    demo, browser = shared
    pairs = pairs_of(browser, 24)

    def review(mine: list[tuple[str, str]], kind: str) -> Callable[[], None]:
        own = Browser(browser.app)

        def run() -> None:
            for pair in mine:
                own.post("/decisions", json={"kind": kind, "tags": list(pair)})

        return run

    def command() -> None:
        for pair in pairs[16:]:
            Library.open(demo.path).decide("reject", pair)

    at_once(review(pairs[:8], "related"), review(pairs[8:16], "imply"), command)
    taken = demo.library.decisions()
    assert sorted(tuple(sorted(one.tags)) for one in taken) == sorted(map(sorted_pair, pairs))
    assert [one.number for one in taken] == list(range(1, 25))
    assert browser.get("/decisions", limit=200)["total"] == 24


def test_of_two_answers_to_one_question_the_second_is_told(shared: tuple[Demo, Browser]) -> None:
    demo, browser = shared
    statuses: list[int] = []

    def answer(kind: str) -> Callable[[], None]:
        own = Browser(browser.app)
        body = {"kind": kind, "tags": ["bird", "animal"]}
        return lambda: statuses.append(own.ask("POST", "/decisions", json=body).status_code)

    at_once(answer("merge"), answer("reject"))
    assert sorted(statuses) == [200, 409]
    assert len(demo.library.decisions()) == 1


def test_of_two_undos_one_is_told(shared: tuple[Demo, Browser]) -> None:
    demo, browser = shared
    browser.post("/decisions", json={"kind": "reject", "tags": ["bird", "animal"]})
    statuses: list[int] = []

    def undo() -> None:
        own = Browser(browser.app)
        statuses.append(own.ask("POST", "/decisions/1/undo").status_code)

    at_once(undo, undo)
    assert sorted(statuses) == [200, 409]
    assert len(demo.library.decisions()) == 2


def test_two_people_tag_one_image_while_others_search(shared: tuple[Demo, Browser]) -> None:
    demo, browser = shared
    image = browser.get("/images", limit=1)["images"][0]["id"]

    def tag(prefix: str) -> Callable[[], None]:
        own = Browser(browser.app)

        def run() -> None:
            for number in range(8):
                own.post(f"/images/{image}/tags", json={"add": [f"{prefix} {number}"]})

        return run

    def search() -> None:
        own = Browser(browser.app)
        for _ in range(20):
            own.get("/images", q="bird", limit=5)
            own.get("/similar", id=image, limit=5)
            own.get("/tags", limit=5)

    at_once(tag("a"), tag("b"), search)
    expected = {f"{prefix} {number}" for prefix in "ab" for number in range(8)}
    assert expected <= set(browser.get(f"/images/{image}")["image"]["tags"])
    assert len(demo.library.tag_edits()) == 16
