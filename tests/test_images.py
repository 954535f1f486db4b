"""Decoding: what comes out is upright RGB, and what can't be decoded says why."""

import io
import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tagkin.errors import ImageError
from tagkin.images import IMAGE_EXTENSIONS, ImageLimits, decode, read_bytes
from tagkin.settings import Settings

LIMITS = ImageLimits(max_pixels=1_000_000, max_bytes=1_000_000)
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixel(data: bytes, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    image = decode(data, LIMITS).image
    assert image.mode == "RGB"
    value = image.getpixel(at)
    assert isinstance(value, tuple)
    return tuple(int(channel) for channel in value)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, kind: int, rows: bytes, trns: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    middle = chunk(b"tRNS", trns) if trns else b""
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + pixels + chunk(b"IEND", b"")


def corner_image(width: int = 48, height: int = 32) -> Image.Image:
    """Red in the left upper quarter, so that every orientation looks different."""
    image = Image.new("RGB", (width, height), (0, 0, 200))
    image.paste(RED, (0, 0, width // 2, height // 4))
    return image


# Reading


def test_read_bytes_returns_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"abc")
    assert read_bytes(path, LIMITS) == b"abc"


def test_limits_come_from_the_settings() -> None:
    limits = ImageLimits.from_settings(Settings(max_image_pixels=7, animation_frame="last"))
    assert (limits.max_pixels, limits.animation_frame) == (7, "last")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "zero bytes"), (b"x" * 11, "more than 10 bytes; raise max_image_bytes")],
)
def test_empty_and_huge_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        read_bytes(path, ImageLimits(max_pixels=1, max_bytes=10))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a regular file"):
        read_bytes(tmp_path, LIMITS)
    with pytest.raises(ImageError, match="can't be read"):
        read_bytes(tmp_path / "missing.jpg", LIMITS)
    with pytest.raises(ImageError, match="can't be read"):
        read_bytes(tmp_path / "nul\0.jpg", LIMITS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        read_bytes(tmp_path / "pipe.jpg", LIMITS)


# Decoding


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA"])
def test_common_formats(format: str) -> None:
    decoded = decode(encode(Image.new("RGB", (40, 30), RED), format), LIMITS)
    assert (decoded.width, decoded.height, decoded.frames) == (40, 30, 1)
    assert decoded.format == format.lower()
    assert np.abs(np.asarray(decoded.image, int) - RED).max() < 6


def test_every_orientation_of_exif_comes_out_the_same() -> None:
    upright = corner_image()
    # What a camera stores when held that way: the inverse of how a viewer turns it.
    stored = {
        1: upright,
        2: ImageOps.mirror(upright),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: ImageOps.flip(upright),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }
    for orientation, image in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for format in ("PNG", "TIFF", "WEBP"):
            options = {"lossless": True} if format == "WEBP" else {}
            decoded = decode(encode(image, format, exif=exif, **options), LIMITS)
            assert (decoded.width, decoded.height) == upright.size, (format, orientation)
            assert np.array_equal(np.asarray(decoded.image), np.asarray(upright))


def test_damaged_exif_costs_neither_the_image_nor_the_owners_patience(tmp_path: Path) -> None:
    data = encode(Image.new("RGB", (8, 8), RED), "PNG", exif=b"Exif\0\0MM\0*\0\0\xff\xff broken")
    (tmp_path / "a.png").write_bytes(data)
    # In a process of its own, since pytest replaces the filters for warnings.
    script = (
        "import sys, pathlib, tagkin.images as t; limits = t.ImageLimits(100, 10_000);"
        "image = t.decode(t.read_bytes(pathlib.Path(sys.argv[1]), limits), limits).image;"
        "print(image.getpixel((0, 0)))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (run.stdout.strip(), run.stderr) == ("(255, 0, 0)", "")


def test_scaled_decoding_keeps_the_short_side_and_reports_the_original() -> None:
    image = Image.effect_noise((1600, 800), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode(
        encode(image, "JPEG", exif=exif),
        ImageLimits(2_000_000, 9_000_000),
        least_size=lambda *_: (150, 150),
    )
    assert decoded.image.size == (200, 400)
    assert (decoded.width, decoded.height) == (800, 1600)


@pytest.mark.parametrize(
    ("image", "format"),
    [
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"),
        (Image.new("LA", (4, 4), (0, 0)), "PNG"),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "GIF"),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "WEBP"),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "TIFF"),
    ],
)
def test_transparent_is_white(image: Image.Image, format: str) -> None:
    assert pixel(encode(image, format)) == WHITE


def test_half_transparent_is_mixed_with_white() -> None:
    assert pixel(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")) == (127, 127, 127)


@pytest.mark.parametrize(
    ("depth", "kind", "row", "transparent"),
    [
        (1, 0, b"\x40", b"\0\1"),
        (2, 0, b"\x10", b"\0\1"),
        (4, 0, b"\x05", b"\0\5"),
        (8, 0, b"\x00\x07", b"\0\7"),
        (16, 0, b"\0\0\x12\x34", b"\x12\x34"),
        (8, 2, b"\0\0\0\1\2\3", b"\0\1\0\2\0\3"),
        (16, 2, b"\0" * 6 + b"\xff\0\0\0\0\0", b"\xff\0\0\0\0\0"),
    ],
)
def test_one_transparent_colour(depth: int, kind: int, row: bytes, transparent: bytes) -> None:
    data = png(2, 1, depth, kind, b"\0" + row, transparent)
    assert (pixel(data, (0, 0)), pixel(data, (1, 0))) == ((0, 0, 0), WHITE)


def test_transparent_palette() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    data = encode(image, "PNG", transparency=b"\xff\0")
    assert (pixel(data, (0, 0)), pixel(data, (1, 0))) == (RED, WHITE)


def test_print_and_video_colours() -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for format in ("JPEG", "TIFF"):
        assert np.abs(np.subtract(pixel(encode(cmyk, format)), RED)).max() < 6
    lab = Image.new("LAB", (8, 8), (255, 128, 128))
    ycbcr = Image.new("YCbCr", (8, 8), (255, 128, 128))
    for image in (lab, ycbcr, Image.new("1", (8, 8), 1)):
        assert min(pixel(encode(image, "TIFF"))) > 250


def test_deep_grey_is_scaled_and_not_clipped() -> None:
    data = encode(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)), "TIFF")
    assert np.asarray(decode(data, LIMITS).image)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(("frame", "colour"), [("first", 0), ("middle", 100), ("last", 200)])
@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_the_frame_of_an_animation(format: str, frame: Any, colour: int) -> None:
    first, *rest = [Image.new("RGB", (8, 8), (level,) * 3) for level in (0, 50, 100, 150, 200)]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(first, format, save_all=True, append_images=rest, **options)
    decoded = decode(data, ImageLimits(100, 10_000, frame))
    assert decoded.frames == 5
    assert decoded.image.getpixel((0, 0)) == (colour,) * 3


def test_the_pages_of_a_document_are_no_animation() -> None:
    pages = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), WHITE)]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert decode(data, ImageLimits(100, 10_000, "last")).image.getpixel((0, 0)) == RED


def test_an_animation_too_long_to_reach_its_end_is_refused() -> None:
    first, *rest = [Image.new("L", (10, 10), level) for level in range(40)]
    data = encode(first, "GIF", save_all=True, append_images=rest)
    with pytest.raises(ImageError, match="set animation_frame to 'first'"):
        decode(data, ImageLimits(100, 100_000, "last"))


# Refusing


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = png(120_000, 120_000, 8, 2, b"")
    with pytest.raises(ImageError, match=r"120000x120000 pixels .* raise max_image_pixels"):
        decode(bomb, LIMITS)


def test_the_limit_can_be_above_pillows_own(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for format in ("JPEG", "PNG", "GIF", "BMP"):
        assert pixel(encode(Image.new("L", (9, 9), 255), format)) == WHITE
    assert not recwarn.list


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!DOCTYPE html><html>404</html>", "begins like HTML"),
        (b"  \n<svg xmlns='http://www.w3.org/2000/svg'/>", "begins like SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "begins like PostScript"),
        (b"Not found\n", "begins like text"),
        (b"P", "begins like text"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC image; convert it|damaged HEIF"),
        (b"\0" * 1000, "nothing but zero bytes"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged PNG"),
        (b"\xff\xd8\xff", "damaged|truncated"),
    ],
)
def test_what_is_no_image_says_what_it_looks_like(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(data, LIMITS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_truncated_files_are_refused(format: str) -> None:
    data = encode(Image.effect_noise((99, 99), 60).convert("RGB"), format)
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        decode(data[: len(data) * 2 // 3], LIMITS)


_SAMPLES = [
    encode(Image.effect_noise((9, 9), 60).convert("RGB"), format)
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "TGA", "QOI")
    if format in Image.SAVE
]


@pytest.mark.filterwarnings("ignore::UserWarning:")
@settings(deadline=None, database=None)
@given(st.sampled_from(_SAMPLES), st.integers(0, 2000), st.binary(max_size=20))
def test_damage_gives_an_image_or_an_image_error(sample: bytes, at: int, noise: bytes) -> None:
    try:
        decoded = decode(sample[:at] + noise + sample[at + len(noise) :], LIMITS)
    except ImageError as error:
        assert str(error)
    else:
        assert decoded.image.mode == "RGB"


def test_many_threads_at_once() -> None:
    image = corner_image(400, 300)
    data = [encode(image, format) for format in ("PNG", "BMP", "TIFF")] * 20
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(lambda one: np.asarray(decode(one, LIMITS).image), data))
    assert all(np.array_equal(one, np.asarray(image)) for one in decoded)


def test_image_extensions_are_lower_case() -> None:
    assert {".jpg", ".png", ".webp", ".heic"} <= IMAGE_EXTENSIONS
    assert all(name == name.lower() and name.startswith(".") for name in IMAGE_EXTENSIONS)
