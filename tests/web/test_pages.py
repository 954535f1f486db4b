"""What the pages show, to somebody without JavaScript."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from conftest import Demo
from fastapi.testclient import TestClient
from helpers_pages import client_of, copy_of, propose

from tagkin.library import Library


@pytest.fixture(scope="module")
def demo_client(
    demo_library: Demo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The demo's library with proposals; these tests only look at it."""
    path = copy_of(demo_library.path, tmp_path_factory.mktemp("pages") / "library")
    settings = demo_library.settings.model_copy(update={"library": path})
    propose(path, settings, demo_library.config)
    with client_of(path, settings) as client:
        yield client


def _images(html: str) -> list[str]:
    return re.findall(r'data-id="([0-9a-f]{32})"', html)


def test_the_search_shows_the_images_of_a_tag_and_goes_on(demo_client: TestClient) -> None:
    page = demo_client.get("/", params={"q": "-animal"}).text
    total = demo_client.get("/api/v1/images", params={"q": "-animal"}).json()["total"]
    assert f"{total} images" in page
    first = _images(page)
    assert len(first) == 60
    more = re.search(r'<a class="button" href="([^"]+)" rel="next">', page)
    assert more
    second = _images(demo_client.get(more[1].replace("&amp;", "&")).text)
    assert second and not set(second) & set(first)


def test_every_thumbnail_says_how_large_it_is(demo_client: TestClient) -> None:
    page = demo_client.get("/").text
    thumbs = re.findall(r'<div class="thumb"[^>]*>.*?</div>', page, re.S)
    assert len(thumbs) == 60
    assert all(re.search(r'width="\d+" height="\d+" loading="lazy"', thumb) for thumb in thumbs)


def test_filters_are_chips_that_come_off(demo_client: TestClient) -> None:
    page = demo_client.get("/", params={"q": "animal -bird"}).text
    chips = re.findall(r'<a class="off" href="([^"]+)"', page)
    assert chips == ["/?q=-bird", "/?q=animal"]


def test_likeness_can_be_narrowed_down(demo_client: TestClient) -> None:
    image = _images(demo_client.get("/", params={"q": "bird"}).text)[0]
    page = demo_client.get("/", params={"id": image}).text
    assert "Images like" in page
    assert image not in _images(page)
    narrowed = demo_client.get("/", params={"id": image, "q": "bird"}).text
    assert len(_images(narrowed)) < len(_images(page))


def test_an_unknown_tag_is_explained_and_named_alike(demo_client: TestClient) -> None:
    answer = demo_client.get("/", params={"q": "animall"})
    assert answer.status_code == 200
    assert "animal" in answer.text and "did you mean" in answer.text


def test_a_query_that_makes_no_sense_is_explained(demo_client: TestClient) -> None:
    page = demo_client.get("/", params={"q": "date:yesterday"}).text
    assert "date:2024-05" in page


def test_an_image_shows_its_tags_beside_the_predicted_ones(demo_client: TestClient) -> None:
    image = demo_client.get("/api/v1/images?q=bird&limit=1").json()["images"][0]
    page = demo_client.get(f"/images/{image['id']}").text
    assert 'data-change="remove" data-tag="bird"' in page
    assert page.count('role="img" aria-label="score') > 5
    assert "Nearest images" in page and image["name"] in page


@pytest.mark.parametrize("path", ["/images/nothing", f"/images/{'0' * 32}", "/nowhere"])
def test_what_is_not_there_is_a_page_as_well(demo_client: TestClient, path: str) -> None:
    answer = demo_client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "To the search" in answer.text


def test_the_review_shows_both_tags_with_their_images(demo_client: TestClient) -> None:
    page = demo_client.get("/review").text
    members = re.findall(r'data-member="([^"]+)"', page)
    assert len(members) >= 2
    assert page.count('<ul class="squares">') == len(members)
    for key in "yniIrwsu":
        assert f"<kbd>{key}</kbd>" in page


def test_skipping_leads_to_another_proposal(demo_client: TestClient) -> None:
    first = demo_client.get("/review").text
    skip = re.search(r'data-skip="([^"]+)"', first)
    assert skip
    second = demo_client.get(skip[1].replace("&amp;", "&")).text
    groups = [re.search(r'data-group="([^"]+)"', page) for page in (first, second)]
    assert groups[0] and groups[1] and groups[0][1] != groups[1][1]


def test_the_vocabulary_is_sorted_and_searched(demo_client: TestClient) -> None:
    def tags(**parameters: str) -> list[str]:
        page = demo_client.get("/vocabulary", params=parameters).text
        return [unquote_plus(name) for name in re.findall(r'href="/tag\?name=([^"]+)"', page)]

    by_count, by_name = tags(), tags(sort="name")
    assert by_count != by_name == sorted(by_name)
    assert set(tags(q="flag")) >= {"flag", "flags"}


def test_a_tag_has_a_page(demo_client: TestClient) -> None:
    page = demo_client.get("/tag?name=animal").text
    assert "Average precision" in page and "Some of its images" in page


def test_every_page_names_its_next_step_where_there_is_nothing(tmp_path: Path) -> None:
    Library.create_or_open(tmp_path / "new-library")
    with client_of(tmp_path / "new-library") as client:
        assert "tagkin prepare" in client.get("/").text
        assert "tagkin variants" in client.get("/review").text
        assert "tagkin prepare" in client.get("/vocabulary").text
        assert "tagkin train" in client.get("/suspects").text
        status = client.get("/status").text
        for command in ("tagkin embed", "tagkin train", "tagkin recommend"):
            assert command in status
        assert "No near-duplicates" in client.get("/duplicates").text
        assert client.get("/export").status_code == 200


def test_every_page_obeys_its_own_policy(demo_client: TestClient) -> None:
    for path in ("/", "/review", "/vocabulary", "/suspects", "/duplicates", "/status", "/export"):
        answer = demo_client.get(path)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]* src=)", answer.text)
        assert not re.search(r"\sstyle=|<style", answer.text)
        assert not re.search(r"https?://", answer.text)
