"""Files to measure with: made up, or copies of the owner's own."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

#: Pixels of the made-up photographs: what boards and phones' galleries commonly keep.
WIDTH, HEIGHT = 1024, 768

_COUNT = 32
_QUALITY = 85
_GRAIN = 6.0  # deviation of noise, by which such a JPEG comes to some 200 kB, as photographs do


def made_up(folder: Path) -> list[Path]:
    """Writes JPEG files like photographs in size and in the time they take to decode.

    Args:
        folder: An existing folder.

    Returns:
        Their paths.
    """
    rng = np.random.default_rng(0)
    paths = []
    for number in range(_COUNT):
        small = rng.integers(0, 256, (24, 32, 3), np.uint8)
        smooth = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        grain = rng.normal(0, _GRAIN, (HEIGHT, WIDTH, 1))
        noisy = (np.asarray(smooth, np.float32) + grain).clip(0, 255).astype(np.uint8)
        path = folder / f"made-up-{number:02}.jpg"
        Image.fromarray(noisy).save(path, quality=_QUALITY)
        paths.append(path)
    return paths


def copies(files: Sequence[Path], count: int, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Writes copies of files, each a content of its own: decoders ignore what follows the image.

    Args:
        files: At least one image file.
        count: How many copies.
        folder: An existing folder.

    Yields:
        Path and content of each copy.
    """
    contents = [file.read_bytes() for file in files]
    for number in range(count):
        place = number % len(files)
        buffer = io.BytesIO()
        buffer.write(contents[place])
        buffer.write(b"copy %d" % number)
        data = buffer.getvalue()
        path = folder / f"{number:06}{files[place].suffix}"
        path.write_bytes(data)
        yield path, data
