"""Small collections on disk for tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A picture that looks unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def add(folder: Path, name: str, content: bytes | Image.Image, tags: str | None = None) -> Path:
    """Writes an image and, beside it, its tags."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else encode(content))
    if tags is not None:
        path.with_name(path.name + ".txt").write_text(tags, "utf-8")
    return path


def collection(folder: Path, count: int, *, start: int = 0) -> Path:
    """Writes unlike pictures; each has the tag ``all`` and one of five others."""
    for seed in range(start, start + count):
        add(folder, f"{seed:04}.png", picture(seed), f"all, tag {seed % 5}")
    return folder


def bomb() -> bytes:
    """A PNG of some bytes whose header says 120,000 x 120,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 120_000, 120_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
