"""Tags and file names that try to be more than text are inert in every answer of the interface."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Demo
from helpers_collection import encode, picture
from helpers_hostile import HOSTILE, hostile_library
from helpers_web import API, Browser

from tagkin.backbones import BackboneConfig, Runtime
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.web.app import create_app
from tagkin.web.security import POLICY

LONG = "x" * 9_990 + "<script>"
ODD_TAGS = [
    LONG,
    "a\nb\r\nc\u2028d\u2029e",
    "\u202egnp.exe\u2066isolate\u2069\u200b",
    "nul\x00byte",
    "\x1b[31mred\x07",
    "..",
    "a/b/../c",
    "?q=#%2e%00",
    "\ufeffbom",
    "👩‍👩‍👧‍👦",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
    '=HYPERLINK("http://evil.example")',
    "null",
    "NaN",
    "__proto__",
    "constructor",
]
ODD_NAMES = [b"line\nbreak<script>.png", b"\xff\xfe not utf-8 \x80.png", b'" onerror="x.png']


@pytest.fixture(scope="module")
def hostile(
    lite0: Runtime,
    lite0_config: BackboneConfig,
    lite0_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Browser:
    """Of a library with two hundred hostile tags and file names, embedded and trained."""
    made = hostile_library(lite0, lite0_config, lite0_settings, tmp_path_factory)
    return Browser(create_app(*made))


@pytest.fixture(scope="module")
def odd(lite0_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Of a library with names that no text holds and tags of many kinds, only prepared."""
    folder = tmp_path_factory.mktemp("odd")
    pictures = folder / "pictures"
    pictures.mkdir()
    names = ODD_NAMES if sys.platform == "linux" else [b"plain.png"]
    for number, name in enumerate(names):
        Path(os.fsdecode(os.path.join(os.fsencode(pictures), name))).write_bytes(  # noqa: PTH118
            encode(picture(number))
        )
    files = []
    for number in range(len(ODD_TAGS)):
        path = folder / f"{number}.png"
        path.write_bytes(encode(picture(100 + number)))
        files.append(str(path))
    table = folder / "images.parquet"
    pq.write_table(pa.table({"file": files, "tags": [[tag] for tag in ODD_TAGS]}), table)
    settings = lite0_settings.model_copy(
        update={"library": folder / "library", "min_tag_occurrences": 1}
    )
    library = Library.create_or_open(settings.library)
    prepare(library, open_source(pictures), settings)
    prepare(library, open_source(table), settings)
    yield Browser(create_app(settings.library, settings))


def checked(browser: Browser, path: str, **parameters: Any) -> Any:
    """Returns an answer that no browser takes for a page, decoded."""
    answer = browser.client.get(API + path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == POLICY
    return json.loads(answer.content.decode("utf-8"))  # strict: no half of a surrogate pair


def test_every_hostile_tag_can_be_asked_for_by_every_route(hostile: Browser) -> None:
    known = {tag["tag"] for page in every(hostile, "/tags") for tag in page["tags"]}
    assert len(known) > 190  # a few fold to the same
    for tag in sorted(known):
        # The client of the tests decodes an address twice, which no server does.
        address = quote(tag.replace("%", "%25"), safe="")
        detail = checked(hostile, f"/tags/{address}", samples=1)
        assert detail["entry"]["tag"] == tag
        assert [one["tag"] for one in checked(hostile, "/tags", name=tag)["tags"]] == [tag]
        quoted = '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'
        assert checked(hostile, "/images", q=quoted, limit=1)["total"] == detail["entry"]["count"]
    for tag in sorted(known)[::10]:
        assert checked(hostile, "/similar", tag=tag, limit=2)["query"] == tag
        assert tag in [one["tag"] for one in checked(hostile, "/complete", prefix=tag)]


def every(browser: Browser, path: str, **parameters: Any) -> Iterator[Any]:
    """Yields all pages of a list."""
    cursor: str | None = ""
    while cursor is not None:
        page = checked(browser, path, limit=200, cursor=cursor, **parameters)
        yield page
        cursor = page["next"]


def test_all_other_answers_are_data_too(hostile: Browser) -> None:
    images = [image for page in every(hostile, "/images") for image in page["images"]]
    names = {image["name"] for image in images}
    assert any("<script>" in name for name in names) and any('"' in name for name in names)
    for image in images[:20]:
        checked(hostile, f"/images/{image['id']}")
    for relation in ("variant", "implication", "related", "same-images"):
        for page in every(hostile, "/variants", relation=relation, samples=1):
            assert page["proposals"]
    for path in ("/status", "/decisions", "/duplicates", "/suspects"):
        checked(hostile, path)


def test_hostile_names_are_offered_for_download_as_one_header(hostile: Browser) -> None:
    for page in every(hostile, "/images"):
        for image in page["images"]:
            answer = hostile.client.get(f"{API}/images/{image['id']}/file")
            disposition = answer.headers["content-disposition"]
            assert answer.headers["content-type"] == "image/png"
            assert disposition.startswith("inline; filename*=UTF-8''")
            assert not set('<>"\n\r;=') & set(disposition.partition("''")[2])
            assert "sandbox" in answer.headers["content-security-policy"]


def test_an_error_repeats_hostile_text_as_data(hostile: Browser) -> None:
    for text in HOSTILE[::7]:
        for path in ("/images?q=", "/similar?tag=", "/complete?prefix=", "/tags?contains="):
            answer = hostile.client.get(f"{API}{path}{quote(text + 'zz')}")
            assert answer.status_code in (200, 400, 404)
            assert answer.headers["content-type"] == "application/json"


def test_hostile_tags_can_be_given_and_taken(odd: Browser) -> None:
    image = checked(odd, "/images", limit=1)["images"][0]["id"]
    new = [*HOSTILE[:80], *ODD_TAGS[1:]]
    made = odd.post(f"/images/{image}/tags", json={"add": new})
    assert len(made["edits"]) > 80
    detail = checked(odd, f"/images/{image}")
    assert {tag["tag"] for tag in detail["tags"]} >= {HOSTILE[0].lower(), "null"}
    for form in ("csv", "json"):
        for what in ("edits", "tags"):
            answer = odd.client.get(f"{API}/export/{what}", params={"format": form})
            assert answer.status_code == 200
            assert answer.headers["content-disposition"].startswith("attachment")
            assert "html" not in answer.headers["content-type"]
    for edit in made["edits"][:5]:
        odd.post(f"/edits/{edit['number']}/undo")


def test_odd_tags_and_names_come_back_as_they_were_read(odd: Browser) -> None:
    tags = {tag["tag"] for page in every(odd, "/tags") for tag in page["tags"]}
    assert LONG in tags and ".." in tags and "__proto__" in tags
    assert any("\u202e" in tag for tag in tags)
    names = {image["name"] for page in every(odd, "/images") for image in page["images"]}
    if sys.platform == "linux":
        assert {"line\nbreak<script>.png", "�� not utf-8 �.png", '" onerror="x.png'} <= names
    for page in every(odd, "/images"):
        for image in page["images"]:
            assert odd.client.get(image["thumbnail"]).status_code == 200
            assert odd.client.get(f"{API}/images/{image['id']}/file").status_code == 200


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00"])
def test_text_that_is_no_unicode_is_refused_or_escaped(odd: Browser, text: str) -> None:
    image = checked(odd, "/images", limit=1)["images"][0]["id"]
    for path, body in (
        (f"/images/{image}/tags", {"remove": [text]}),
        ("/decisions", {"kind": "reject", "tags": [text, "null"]}),
        ("/decisions", {"kind": "merge", "tags": ["null", "nan"], "canonical": text}),
    ):
        headers = {"content-type": "application/json"}
        answer = odd.ask("POST", path, content=json.dumps(body).encode(), headers=headers)
        assert answer.status_code < 500, answer.text
        answer.content.decode("utf-8")


def test_no_file_name_is_ever_part_of_an_address(hostile: Browser, demo_library: Demo) -> None:
    for browser in (hostile, Browser(create_app(demo_library.path, demo_library.settings))):
        text = json.dumps(checked(browser, "/images", limit=200)["images"])
        for card in json.loads(text):
            assert card["thumbnail"] == f"{API}/images/{card['id']}/thumbnail"
