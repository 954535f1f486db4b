"""How quickly ``tagkin serve`` answers, alone and to 16 clients at once.

    python benchmarks/serve.py WORK --images 200000 [--seconds 60] [--write docs/benchmarks.md]

The library is that of ``search.py`` in the same folder WORK, with small thumbnails made up in the
cache. The server and the clients share the machine.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from made_libraries import FINGERPRINT, add_arguments, library_of
from pages import machine, resident, show
from PIL import Image

from tagkin.backbones import BackboneConfig, resolve_backbone
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.similarity import Collection
from tagkin.similarity.vector_index import keep_index

CLIENTS = 16
REQUESTS = 400
IDS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    library = library_of(arguments)
    config = _activate(library)
    keep_index(library, config.fingerprint)
    collection = Collection.open(library, Settings())
    requests = _requests(collection)
    with tempfile.TemporaryDirectory() as cache:
        _thumbnails(Path(cache), [r["id"] for r in requests["thumbnail"]])
        with _server(library.path, Path(cache)) as (url, process):
            lines = ["| request | p50 ms | p99 ms |", "|---|---|---|"]
            for name, each in requests.items():
                seconds = _alone(url, name, each)
                p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
                lines.append(f"| {name} | {p50:.1f} | {p99:.1f} |")
                print(lines[-1], flush=True)
            counts, seconds = asyncio.run(_together(url, requests, arguments.seconds))
            p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
            rate = len(seconds) / arguments.seconds
            memory = resident(process) / 2**20
    errors = sum(n for status, n in counts.items() if status >= 400 or status == 0)
    lines += [
        f"| {CLIENTS} clients for {arguments.seconds:.0f} s, all kinds | {p50:.1f} | {p99:.1f} |",
        "",
        f"{arguments.images:,} images. The {CLIENTS} clients sent {len(seconds):,} requests "
        f"({rate:.0f} a second), {errors} of them failed; memory of the server {memory:,.0f} MiB. "
        f"{machine()}",
    ]
    show("serve", lines, arguments.write)


def _activate(library: Library) -> BackboneConfig:
    """Makes the drawn vectors those of a real backbone, so that the server takes them."""
    config = resolve_backbone(Settings(model_architecture="efficientnet-lite0", precision="f32"))
    wanted = library.path / f"vectors-{config.fingerprint}.lance"
    if not wanted.exists():
        wanted.symlink_to(f"vectors-{FINGERPRINT}.lance")
    library.update_state(active_backbone=config.to_dict())
    index = library.index_path(FINGERPRINT)
    if index.exists() and not library.index_path(config.fingerprint).exists():
        library.index_path(config.fingerprint).symlink_to(index.name)
    return config


def _requests(collection: Collection) -> dict[str, list[dict[str, str]]]:
    rng = np.random.default_rng(3)
    ids = [i.decode() for i in rng.choice(collection.ids, IDS, replace=False).tolist()]
    tags = [collection.tags[n] for n in rng.integers(200, size=IDS).tolist()]
    pairs = list(zip(ids, tags, strict=True))
    return {
        "similar": [{"id": image} for image in ids],
        "similar, filtered": [{"id": image, "q": _quoted(tag)} for image, tag in pairs],
        "images with tags": [{"q": f"-{_quoted(tag)}"} for tag in tags],
        "tags beginning with": [{"prefix": tag[:2]} for tag in tags],
        "thumbnail": [{"id": image} for image in ids],
    }


def _quoted(tag: str) -> str:
    return '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _address(name: str, values: dict[str, str]) -> str:
    if name == "thumbnail":
        return f"/api/v1/images/{values['id']}/thumbnail"
    page = {"images with tags": "images", "tags beginning with": "tags"}.get(name, "similar")
    return f"/api/v1/{page}?{urllib.parse.urlencode({**values, 'limit': '40'})}"


def _alone(url: str, name: str, requests: list[dict[str, str]]) -> list[float]:
    seconds = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for number, values in enumerate(itertools.islice(itertools.cycle(requests), REQUESTS)):
            started = time.perf_counter()
            client.get(_address(name, values)).raise_for_status()
            if number >= 20:
                seconds.append(time.perf_counter() - started)
    return seconds


async def _together(
    url: str, requests: dict[str, list[dict[str, str]]], seconds: float
) -> tuple[Counter[int], list[float]]:
    end = time.monotonic() + seconds
    counts: Counter[int] = Counter()
    taken: list[float] = []

    async def client(number: int) -> None:
        rng = np.random.default_rng(number)
        names = list(requests)
        async with httpx.AsyncClient(base_url=url, timeout=60) as session:
            while time.monotonic() < end:
                name = names[rng.integers(len(names))]
                values = requests[name][rng.integers(IDS)]
                started = time.perf_counter()
                try:
                    answer = await session.get(_address(name, values))
                    counts[answer.status_code] += 1
                except httpx.HTTPError:
                    counts[0] += 1
                taken.append(time.perf_counter() - started)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return counts, taken


def _thumbnails(cache: Path, ids: list[str]) -> None:
    """Puts small pictures where the server keeps the thumbnails that it has made."""
    rng = np.random.default_rng(0)
    for image in ids:
        file = cache / "thumbnails" / "240" / image[:2] / f"{image}.webp"
        file.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(buffer, "webp")
        file.write_bytes(buffer.getvalue())


@contextmanager
def _server(library: Path, cache: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "tagkin", "serve", "--library", str(library), "--port", "0"]
    environment = {**os.environ, "TAGKIN_CACHE_DIR": str(cache)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None  # noqa: S101
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http"))
        with urllib.request.urlopen(f"{url}api/v1/status") as answer:  # noqa: S310
            json.load(answer)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
