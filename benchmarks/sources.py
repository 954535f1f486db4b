"""How fast a large dump is read, in how much memory, and what it costs to prepare files again.

python benchmarks/sources.py [--rows 1000000] [--format booru|pr0gramm|deepdanbooru|coco]
python benchmarks/sources.py --prepare IMAGES [--prepare IMAGES] [--files 20000]

The first writes a dump of that many posts into a temporary folder, and reads it in a process of its
own. The posts share 10,000 (empty) image files, so that each is found; no image is opened, which is
the work of `prepare`.

The second cuts that many distinct JPEG and PNG files out of the images in some folders, with tags
beside them, and runs `tagkin prepare` on them twice.
"""

import argparse
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path

from PIL import Image

FORMATS = ("booru", "pr0gramm", "deepdanbooru", "coco")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=FORMATS, default="booru")
    parser.add_argument("--prepare", type=Path, action="append", metavar="IMAGES")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        with tempfile.TemporaryDirectory() as name:
            prepare_twice(Path(name), arguments.prepare, arguments.files)
        return
    if arguments.read:
        measure(arguments.read)
        return
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), arguments.format, arguments.rows)
        print(
            f"{arguments.format}: {arguments.rows:,} posts, {path.stat().st_size / 2**20:.0f} MiB"
        )
        subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


def measure(path: Path) -> None:
    from tagkin.sources import ImageRecord, open_source

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    rows = found = tags = 0
    for item in open_source(path):
        rows += 1
        if isinstance(item, ImageRecord):
            found += 1
            tags += len(item.tags)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows / seconds:,.0f} posts a second ({seconds:.1f} s), {found:,} with an image, "
        f"{tags / max(found, 1):.1f} tags each; peak {peak:.0f} MiB, of which {before:.0f} MiB "
        "before reading"
    )


def prepare_twice(folder: Path, sources: list[Path], files: int) -> None:
    """Makes a collection and prepares it twice, each time in a process of its own."""
    found = [sorted(p for p in source.rglob("*") if is_photo(p)) for source in sources]
    images = folder / "images"
    images.mkdir()
    with Pool() as pool:
        made = sum(pool.imap_unordered(cut_out, jobs(found, images, files), 64))
    print(f"{files:,} files, {made / 2**20:,.0f} MiB, of {sum(map(len, found)):,} photos")
    seconds, busy, rows = [], [], []
    for run in ("first", "second"):
        start, before = time.perf_counter(), cpu_seconds()
        command = [sys.executable, "-m", "tagkin", "prepare", str(images), "--json"]
        command += ["--library", str(folder / "library")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        busy.append(cpu_seconds() - before)
        told = json.loads(done.stdout)
        rows.append(stored(folder / "library"))
        names = ("images", "added_files", "updated_files", "missing_files", "unchanged_files")
        print(
            f"{run}: {seconds[-1]:.1f} s, {busy[-1]:.1f} s of processor; "
            + ", ".join(f"{told[n]:,} {n}" for n in names)
        )
    same = "the library is the same" if rows[0] == rows[1] else "THE LIBRARY CHANGED"
    print(
        f"{same}; the second was {seconds[0] / seconds[1]:.1f} times faster "
        f"({busy[0] / busy[1]:.1f} times in seconds of processor)"
    )


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def is_photo(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg", ".png") and path.is_file()


def jobs(found: list[list[Path]], images: Path, files: int) -> Iterator[tuple[int, Path, Path]]:
    """Takes the photos of the folders by turns."""
    for number in range(files):
        turn, source = divmod(number, len(found))
        yield number, found[source][turn % len(found[source])], images


def cut_out(job: tuple[int, Path, Path]) -> int:
    """Writes a part of a photo that no other file has, and its tags; returns its size."""
    number, photo, images = job
    dice = random.Random(number)
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    width, height = (dice.randint(side * 6 // 10, side * 9 // 10) for side in image.size)
    left, top = dice.randint(0, image.width - width), dice.randint(0, image.height - height)
    path = images / f"{number:06}.{'png' if number % 10 == 0 else 'jpg'}"
    options = {} if path.suffix == ".png" else {"quality": dice.randint(70, 95)}
    image.crop((left, top, left + width, top + height)).save(path, **options)
    tags = dice.sample(range(300), 5)
    path.with_suffix(".txt").write_text(", ".join(f"tag {one}" for one in tags))
    return path.stat().st_size


def stored(library: Path) -> list:
    from tagkin.library import Library

    return Library.open(library).images()


def write(folder: Path, name: str, rows: int) -> Path:
    dice = random.Random(0)
    words = [
        f"{dice.choice(['red', 'long', 'big'])}_{dice.getrandbits(24):x}" for _ in range(9_999)
    ]
    names = [f"{dice.getrandbits(128):032x}" for _ in range(min(rows, 10_000))]
    for md5 in names:
        (folder / md5[:2]).mkdir(exist_ok=True)
        (folder / md5[:2] / f"{md5}.jpg").touch()
    posts = ((n, names[n % len(names)], dice.sample(words, 30)) for n in range(rows))
    path = folder / {"deepdanbooru": "d.sqlite", "booru": "d.jsonl"}.get(name, "d.json")
    if name == "deepdanbooru":
        with sqlite3.connect(path) as database:
            database.execute(
                "CREATE TABLE posts (id INTEGER, md5 TEXT, file_ext TEXT, tag_string TEXT, "
                "tag_count_general INTEGER)"
            )
            database.executemany(
                "INSERT INTO posts VALUES (?, ?, 'jpg', ?, 30)",
                ((number, md5, " ".join(tags)) for number, md5, tags in posts),
            )
        return path
    with path.open("w") as file:
        if name == "booru":
            for number, md5, tags in posts:
                file.write(json.dumps(danbooru(number, md5, tags)) + "\n")
        elif name == "pr0gramm":
            file.write('{"items": [\n')
            for number, md5, tags in posts:
                file.write((",\n" if number else "") + json.dumps(pr0gramm(number, md5, tags)))
            file.write("\n]}\n")
        else:
            write_coco(file, posts)
    return path


def danbooru(number: int, md5: str, tags: list[str]) -> dict:
    return {
        "id": number,
        "created_at": "2024-05-01T10:00:00.000-04:00",
        "uploader_id": 1,
        "score": 7,
        "source": "https://www.example.org/artworks/1",
        "md5": md5,
        "rating": "s",
        "image_width": 800,
        "image_height": 600,
        "tag_string": " ".join(tags),
        "fav_count": 3,
        "file_ext": "jpg",
        "tag_string_general": " ".join(tags[:25]),
        "tag_string_character": tags[25],
        "tag_string_copyright": tags[26],
        "tag_string_artist": tags[27],
        "tag_string_meta": " ".join(tags[28:]),
        "file_url": f"https://cdn.example.org/original/{md5[:2]}/{md5[2:4]}/{md5}.jpg",
    }


def pr0gramm(number: int, md5: str, tags: list[str]) -> dict:
    return {
        "id": number,
        "promoted": 0,
        "up": 12,
        "down": 3,
        "created": 1_500_000_000,
        "image": f"{md5[:2]}/{md5}.jpg",
        "flags": 1,
        "user": "somebody",
        "tags": [{"id": at, "tag": one, "confidence": 0.5} for at, one in enumerate(tags)],
    }


def write_coco(file, posts) -> None:
    """Images first, then three annotations each, in the order of the images."""
    file.write('{"images": [')
    numbers = []
    for number, md5, _ in posts:
        numbers.append(number)
        image = {"id": number, "file_name": f"{md5[:2]}/{md5}.jpg", "width": 8, "height": 8}
        file.write((", " if number else "") + json.dumps(image))
    file.write('], "annotations": [')
    for number in numbers:
        for at in range(3):
            one = {"id": 3 * number + at, "image_id": number, "category_id": (number + at) % 80}
            file.write((", " if number or at else "") + json.dumps(one))
    file.write('], "categories": ')
    file.write(json.dumps([{"id": at, "name": f"thing {at}"} for at in range(80)]) + "}")


if __name__ == "__main__":
    main()
