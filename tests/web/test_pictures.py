"""Thumbnails and originals: made once, asked for once, and never of anything else."""

import io
import shutil
from pathlib import Path

import pytest
from conftest import Demo
from helpers_collection import add, encode, picture
from helpers_web import API, Browser
from PIL import Image

from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.thumbnails import HEIGHTS
from tagkin.web.app import create_app
from tagkin.web.thumbnails import rounded_height


@pytest.fixture
def own(lite0_settings: Settings, tmp_path: Path) -> Browser:
    """Of a small library whose files the test may change; its cache is its own."""
    folder = tmp_path / "pictures"
    add(folder, "wide.png", picture(1, (900, 60)), "wide")
    add(folder, "photo.jpg", encode(picture(2, (640, 480)), "JPEG"), "photo")
    add(folder, "old.tif", encode(picture(3), "TIFF"), "tiff")
    add(folder, "small.gif", encode(picture(4, (30, 20)), "GIF"), "gif")
    add(folder, "lies.jpg", encode(picture(5)), "lies")  # a PNG
    (folder / "same").mkdir()
    shutil.copy(folder / "photo.jpg", folder / "same" / "copy.jpg")
    settings = lite0_settings.model_copy(
        update={"library": tmp_path / "library", "cache_dir": tmp_path / "cache"}
    )
    library = Library.create_or_open(settings.library)
    prepare(library, open_source(folder), settings)
    return Browser(create_app(settings.library, settings))


def ids_of(browser: Browser) -> dict[str, str]:
    """Returns the id of each image by the tag that it has."""
    images = browser.get("/images", limit=200)["images"]
    return {image["tags"][0]: image["id"] for image in images}


def test_a_thumbnail_is_made_once_and_asked_for_once(own: Browser, tmp_path: Path) -> None:
    image = ids_of(own)["photo"]
    path = f"{API}/images/{image}/thumbnail"
    first = own.client.get(path, params={"height": 200})
    assert first.headers["content-type"] == "image/webp"
    assert "immutable" in first.headers["cache-control"]
    with Image.open(io.BytesIO(first.content)) as small:
        assert small.size == (320, 240)
    [kept] = (tmp_path / "cache" / "thumbnails").rglob("*.webp")
    written = kept.stat().st_mtime_ns
    again = own.client.get(path, params={"height": 200})
    assert again.content == first.content and kept.stat().st_mtime_ns == written
    etag = first.headers["etag"]
    for value in (etag, f"W/{etag}", f'"other", {etag}'):
        known = own.client.get(path, params={"height": 200}, headers={"if-none-match": value})
        assert known.status_code == 304 and not known.content
        assert known.headers["etag"] == etag
    other = own.client.get(path, params={"height": 400}, headers={"if-none-match": etag})
    assert other.status_code == 200 and other.headers["etag"] != etag


def test_a_damaged_thumbnail_is_made_again(own: Browser, tmp_path: Path) -> None:
    path = f"{API}/images/{ids_of(own)['photo']}/thumbnail"
    whole = own.client.get(path).content
    [kept] = (tmp_path / "cache" / "thumbnails").rglob("*.webp")
    kept.write_bytes(whole[:100])  # as a crash of the machine leaves it
    assert own.client.get(path).content == whole
    assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_shows_thumbnails_all_the_same(
    own: Browser, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    (tmp_path / "cache").write_text("not a folder")
    assert own.client.get(f"{API}/images/{ids_of(own)['gif']}/thumbnail").status_code == 200


def test_heights_are_few_and_bounded(own: Browser) -> None:
    assert [rounded_height(height) for height in (1, 96, 97, 10_000)] == [96, 96, 160, HEIGHTS[-1]]
    images = ids_of(own)
    for tag, expected in (("gif", (30, 20)), ("wide", (240, 60))):  # never larger; banners are cut
        answer = own.client.get(f"{API}/images/{images[tag]}/thumbnail", params={"height": 4096})
        with Image.open(io.BytesIO(answer.content)) as small:
            assert small.size == expected
    for height in ("0", "-1", "5000", "x", "1e3"):
        path = f"/images/{images['gif']}/thumbnail?height={height}"
        own.refused(422, "invalid", "GET", path)


def test_originals_come_as_what_they_are(own: Browser) -> None:
    images = ids_of(own)
    for tag, kind, shown in (
        ("photo", "image/jpeg", "inline"),
        ("gif", "image/gif", "inline"),
        ("lies", "image/png", "inline"),
        ("tiff", "application/octet-stream", "attachment"),
    ):
        answer = own.client.get(f"{API}/images/{images[tag]}/file")
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith(shown)
        assert answer.headers["x-content-type-options"] == "nosniff"
        known = own.client.get(
            f"{API}/images/{images[tag]}/file", headers={"if-none-match": answer.headers["etag"]}
        )
        assert known.status_code == 304
        assert own.get(f"/images/{images[tag]}")["inline"] == (shown == "inline")


def test_a_file_that_was_changed_is_not_shown_as_the_image(own: Browser, tmp_path: Path) -> None:
    images, folder = ids_of(own), tmp_path / "pictures"
    (folder / "lies.jpg").write_text("<script>alert(1)</script>")
    (folder / "small.gif").unlink()
    (folder / "photo.jpg").write_bytes(b"secret")
    for tag in ("lies", "gif"):
        for what in ("file", "thumbnail"):
            told = own.refused(404, "not_found", "GET", f"/images/{images[tag]}/{what}")
            assert "tagkin prepare" in told
    answer = own.client.get(f"{API}/images/{images['photo']}/file")  # from its other file
    assert answer.status_code == 200 and answer.content[:2] == b"\xff\xd8"


def test_an_image_that_leads_elsewhere_is_not_followed(own: Browser, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    file = tmp_path / "pictures" / "small.gif"
    file.unlink()
    file.symlink_to(secret)
    own.refused(404, "not_found", "GET", f"/images/{ids_of(own)['gif']}/file")


def test_images_in_the_demo_are_shown(demo_library: Demo) -> None:
    browser = Browser(create_app(demo_library.path, demo_library.settings))
    for image in browser.get("/images", limit=20)["images"]:
        assert browser.client.get(image["thumbnail"]).status_code == 200
