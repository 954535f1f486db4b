"""Uploads are bounded, decoded like the library's own images, and limited in number."""

import io
import struct
import threading
import zlib
from typing import Any

import numpy as np
import pytest
from conftest import Demo
from helpers_collection import bomb, encode, picture
from helpers_web import Browser, browser_of, upload
from PIL import Image

from tagkin.web.problems import TooManyError
from tagkin.web.uploads import Gate, UploadStore

PATHS = ("/similar", "/predict")


@pytest.fixture(scope="module")
def browser(demo_library: Demo) -> Browser:
    return browser_of(demo_library, serve_upload_bytes=200_000, serve_upload_pixels=50_000)


def file_of(data: bytes, name: str = "x.png", kind: str = "image/png") -> dict[str, Any]:
    return {"file": (name, data, kind)}


@pytest.mark.parametrize("path", PATHS)
def test_too_many_bytes_are_refused_before_they_are_all_read(browser: Browser, path: str) -> None:
    files = file_of(encode(picture(1)) + b"\0" * 300_000)
    assert "serve_upload_bytes" in browser.refused(413, "too_large", "POST", path, files=files)
    # Just above the limit of the file, but below that of the request as a whole.
    files = file_of(encode(picture(1)).ljust(200_001, b"\0"))
    browser.refused(413, "too_large", "POST", path, files=files)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_unknown_length_is_cut_off(browser: Browser, path: str) -> None:
    sent = 0

    def body() -> Any:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(1000):
            sent += 10_000
            yield b"\0" * 10_000
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = browser.ask("POST", path, headers=headers, content=body())
    assert answer.status_code == 413, answer.text
    assert answer.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize("path", PATHS)
def test_too_many_pixels_are_refused(browser: Browser, path: str) -> None:
    large = encode(Image.new("RGB", (300, 300)))
    told = browser.refused(413, "too_large", "POST", path, files=file_of(large))
    assert "serve_upload_pixels" in told
    browser.refused(413, "too_large", "POST", path, files=file_of(bomb()))


def broken_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"rubbish") + chunk(b"IEND", b"")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        encode(picture(2))[:200],
        broken_png(),
    ],
)
def test_what_is_no_image_is_refused(browser: Browser, path: str, data: bytes) -> None:
    browser.refused(415, "not_an_image", "POST", path, files=file_of(data))


@pytest.mark.parametrize("path", PATHS)
def test_requests_without_a_file(browser: Browser, path: str) -> None:
    browser.refused(422, "invalid", "POST", path, data={"file": "x"})
    browser.refused(422, "invalid", "POST", path, files={"other": ("x", b"y")})
    headers = {"content-type": "multipart/form-data"}
    answer = browser.ask("POST", path, headers=headers, content=b"no boundary")
    assert 400 <= answer.status_code < 500
    # The token alone doesn't make JSON of it.
    assert browser.ask("POST", path, json={}).status_code == 422


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\\b\\c.png", "c.png"),
        ("<script>.png", "<script>.png"),
        ("a\u202egnp.png", "agnp.png"),
        ("x" * 1000, "x" * 200),
        ("\u200b", "uploaded image"),
    ],
)
def test_the_name_of_an_upload_is_one_short_line(browser: Browser, name: str, shown: str) -> None:
    files = file_of(encode(picture(3)), name)
    assert browser.post("/similar", files=files, data={"limit": "1"})["query"] == shown


def test_each_client_has_so_many_uploads_a_minute(demo_library: Demo) -> None:
    browser = browser_of(demo_library, serve_uploads_per_minute=3)
    answers = [browser.ask("POST", "/predict", files=upload(n)) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["error"]["code"] == "too_many"


def test_so_many_uploads_are_looked_at_at_once() -> None:
    gate = Gate(at_once=1, per_minute=100)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with gate.entered("a"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(TooManyError) as refused, gate.entered("b"):
        pass
    assert refused.value.retry_after == 1
    leave.set()
    thread.join()
    with gate.entered("b"):
        pass


def test_only_the_last_uploads_are_remembered() -> None:
    store = UploadStore(most=3)
    vector = np.zeros(4, np.float32)
    keys = [store.add(str(n), "f", vector, b"").key for n in range(4)]
    assert store.get(keys[0]) is None
    assert [store.get(key) is not None for key in keys[1:]] == [True] * 3
    store.get(keys[1])  # which makes it the last one used
    store.add("new", "f", vector, b"")
    assert store.get(keys[1]) is not None and store.get(keys[2]) is None


def test_an_animation_and_a_turned_photo_are_decoded_like_the_librarys_own(
    browser: Browser,
) -> None:
    frames = [picture(seed) for seed in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    browser.post("/predict", files=file_of(file.getvalue(), "x.gif"))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(picture(4), "JPEG", exif=exif)
    key = browser.post("/similar", files=file_of(turned), data={"limit": "1"})["upload"]
    small = browser.client.get(f"/api/v1/uploads/{key}/thumbnail")
    with Image.open(io.BytesIO(small.content)) as image:
        assert image.height > image.width
