"""What a search for variants costs among many tags: seconds and peak memory.

python benchmarks/variants_size.py [--images 200000] [--tags 10000] [--no-vectors]

Tags are made up: words of syllables, as frequent as Zipf's law says, a tenth of them misspellings
of others. Each image has a topic that draws its tags and its vector.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from pages import machine, show

from tagkin.variants import find_variants

_DIMENSION = 1280
_TOPICS = 500
_TAGS_OF_IMAGE = 12
_SYLLABLES = [c + v for c in "bdfghklmnprstvwz" for v in ("a", "e", "i", "o", "u", "ar", "en")]


def words(count: int, rng: np.random.Generator) -> list[str]:
    """Returns distinct words; every tenth is the one before it with a doubled letter."""
    made: dict[str, None] = {}
    word = ""
    while len(made) < count:
        if len(made) % 10 == 9:
            place = int(rng.integers(1, len(word)))
            word = word[:place] + word[place - 1] + word[place:]
        else:
            size = int(rng.integers(2, 5))
            word = "".join(_SYLLABLES[n] for n in rng.integers(len(_SYLLABLES), size=size))
        made.setdefault(word)
    return list(made)


def collection(
    images: int, tags: int, rng: np.random.Generator
) -> tuple[list[list[str]], np.ndarray[tuple[int, ...], np.dtype[np.float16]]]:
    names = words(tags, rng)
    frequency = 1 / (10 + np.arange(tags))
    frequency[9::10] = 0  # misspellings stand for the tag before them, see below
    # Most tags of an image are those of its topic, each of which has some tags of its own.
    of_topic = [
        np.sort(rng.choice(tags, max(20, tags // 50), replace=False)) for _ in range(_TOPICS)
    ]
    centres = rng.normal(size=(_TOPICS, _DIMENSION)).astype(np.float32)
    vectors = np.empty((images, _DIMENSION), np.float16)
    topics = rng.integers(_TOPICS, size=images)
    for topic in range(_TOPICS):
        mine = np.flatnonzero(topics == topic)
        noise = rng.normal(size=(len(mine), _DIMENSION)).astype(np.float32)
        vectors[mine] = (centres[topic] + 1.5 * noise).astype(np.float16)
    rows: list[list[str]] = []
    shares = [frequency[some] / frequency[some].sum() for some in of_topic]
    for topic in topics.tolist():
        drawn = rng.choice(of_topic[topic], size=_TAGS_OF_IMAGE, p=shares[topic])
        misspelled = (drawn % 10 == 8) & (drawn + 1 < tags) & (rng.random(len(drawn)) < 0.3)
        rows.append([names[tag] for tag in dict.fromkeys((drawn + misspelled).tolist())])
    return rows, vectors


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--tags", type=int, default=10_000)
    parser.add_argument("--no-vectors", action="store_true", help="spelling and context only")
    parser.add_argument("--write", type=Path, help="Markdown page with marks for the table")
    arguments = parser.parse_args()
    rows, vectors = collection(arguments.images, arguments.tags, np.random.default_rng(0))
    collected = peak()
    started, processor = time.monotonic(), time.process_time()
    found = find_variants(rows, None if arguments.no_vectors else vectors)
    seconds = time.monotonic() - started
    lines = [
        "| images | tags | vectors | s | processor s | peak GiB | of it the collection itself |",
        "|---|---|---|---|---|---|---|",
        f"| {arguments.images:,} | {len({tag for row in rows for tag in row}):,} | "
        f"{'no' if arguments.no_vectors else _DIMENSION} | {seconds:.0f} | "
        f"{time.process_time() - processor:.0f} | {peak():.1f} | {collected:.1f} |",
        "",
        f"{len(found.groups)} groups. {machine()}",
    ]
    show("variants-size", lines, arguments.write)


if __name__ == "__main__":
    main()
