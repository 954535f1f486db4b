"""How fast a large dump is read, and in how much memory.

python benchmarks/sources.py [--rows 1000000] [--format booru|pr0gramm|deepdanbooru|coco]

Writes a dump of that many posts into a temporary folder, and reads it in a process of its own. The
posts share 10,000 (empty) image files, so that each is found; no image is opened, which is the work
of `prepare`.
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
from pathlib import Path

FORMATS = ("booru", "pr0gramm", "deepdanbooru", "coco")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=FORMATS, default="booru")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
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
