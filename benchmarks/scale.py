"""What each step costs as a library grows: time, peak memory, and the exponent of the growth.

    python benchmarks/scale.py WORK [--sizes 10000 100000 1000000] [--write PAGE]

Libraries of drawn records and vectors (see ``made_libraries.py``) are made in WORK and kept, and so
is what was measured: ``--steps`` measures some again. Each step runs in a process of its own. An
exponent of 1 means that ten times the images take ten times as long; it is fitted to all sizes.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_libraries import FINGERPRINT, MadeCollection, base_vectors, make_library
from pages import machine, resident, show
from PIL import Image

from tagkin.duplicates import duplicate_groups
from tagkin.lance_table import LanceTable
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.records import IMAGES, vector_schema
from tagkin.settings import Settings
from tagkin.similarity import Collection, Searcher
from tagkin.similarity.approximate import build_index
from tagkin.sources import open_source
from tagkin.tag_edits import EditedTags
from tagkin.tagged_images import TaggedImages
from tagkin.variants.in_library import find_in_library
from tagkin.vocabulary import TagRules, Vocabulary

TAGS = 20_000
LEARNED_TAGS = 5_000
EPOCHS = 2
ADDED = 1_000
SETTINGS = Settings(max_epochs=EPOCHS, dictionaries=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--steps", nargs="*", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--vectors", type=Path, help="real vectors to draw from")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="Markdown page with marks for the table")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.step:
        library = Library.open(arguments.work / f"library-{arguments.sizes[0]}")
        started = time.monotonic()
        facts = STEPS[arguments.step](library)
        seconds = facts.pop("seconds", time.monotonic() - started)
        print(json.dumps({"seconds": seconds, "peak": resident(peak=True), **facts}))
        return
    sizes = arguments.sizes
    missing = [n for n in sizes if _images(arguments.work / f"library-{n}").count() != n]
    base = base_vectors(arguments.work, arguments.vectors) if missing else None
    for size in missing:
        make_library(arguments.work / f"library-{size}", MadeCollection(base, TAGS), size)
    kept = arguments.work / "measured.json"
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    for step in arguments.steps:
        for size in sizes:
            known.setdefault(step, {})[str(size)] = found = _in_process(arguments.work, size, step)
            kept.write_text(json.dumps(known, indent=1), "utf-8")
            print(step, size, json.dumps(found), flush=True)
    lines = [
        "| step | " + " | ".join(f"{n:,}: s | GiB" for n in sizes) + " | exponent |",
        "|---" * (2 * len(sizes) + 2) + "|",
    ]
    for step in STEPS:
        found = [known.get(step, {}).get(str(size), {}) for size in sizes]
        cells = [
            f"{one['seconds']:.2f} | {one['peak'] / 2**30:.2f}" if "seconds" in one else "|"
            for one in found
        ]
        measured = [
            (n, one["seconds"]) for n, one in zip(sizes, found, strict=True) if len(one) > 1
        ]
        exponent = f"{_exponent(*zip(*measured, strict=True)):.2f}" if len(measured) > 1 else ""
        lines.append(f"| {step} | " + " | ".join(cells) + f" | {exponent} |")
    disk = sum(f.stat().st_size for f in (arguments.work / f"library-{sizes[-1]}").rglob("*"))
    lines += ["", f"{sizes[-1]:,} images take {disk / 2**30:.1f} GiB on disk. {machine()}"]
    show("scale", lines, arguments.write)


def _images(library: Path) -> LanceTable:
    return LanceTable(library / "images.lance", IMAGES)


def _in_process(work: Path, size: int, step: str) -> dict[str, Any]:
    command = [sys.executable, __file__, str(work), "--sizes", str(size), "--step", step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return {"error": done.stderr.strip().splitlines()[-1:]}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


# Steps: each returns facts about what it did -----------------------------------------------------


def _columns(library: Library) -> dict[str, Any]:
    return {"images": len(Collection.open(library, SETTINGS))}


def _counts(library: Library) -> dict[str, Any]:
    return {"tags": len(library.tag_counts())}


def _vocabulary(library: Library) -> dict[str, Any]:
    rules = TagRules.from_settings(SETTINGS, library.decisions())
    images = TaggedImages.read(library.image_table(), EditedTags(library.tag_edits(), rules))
    vocabulary = Vocabulary.of_counts(
        images.resolved(rules).counts(), min_tag_occurrences=SETTINGS.min_tag_occurrences
    )
    return {"tags": len(vocabulary.tags)}


def _duplicates(library: Library) -> dict[str, Any]:
    return {"groups": sum(1 for _ in duplicate_groups(library, 4))}


def _index(library: Library) -> dict[str, Any]:
    stored = library.stored_vectors(FINGERPRINT)
    report = build_index(stored, library.index_path(FINGERPRINT))
    return {"recall": report.recall, "probes": report.probes, "lists": report.lists}


def _search(library: Library) -> dict[str, Any]:
    searcher = Searcher.open(library, FINGERPRINT, Collection.open(library, SETTINGS))
    ids = [image.decode() for image in searcher.collection.ids[:100].tolist()]
    seconds = []
    for image in ids:
        started = time.perf_counter()
        searcher.by_images([image])
        seconds.append(time.perf_counter() - started)
    return {"seconds": float(np.median(seconds))}


def _variants(library: Library) -> dict[str, Any]:
    found = find_in_library(library, FINGERPRINT, SETTINGS)
    return {"groups": len(found.groups)}


def _train(library: Library) -> dict[str, Any]:
    from tagkin.training.fit import fit_on
    from tagkin.training.learning_set import LearningSet

    counts = sorted(library.tag_counts().values(), reverse=True)
    least = max(10, counts[min(LEARNED_TAGS, len(counts)) - 1])
    settings = SETTINGS.model_copy(update={"min_tag_occurrences": least})
    data = LearningSet.read(library, FINGERPRINT, settings)
    started = time.monotonic()
    fit = fit_on(data, settings)
    return {
        "tags": len(data.vocabulary.tags),
        "seconds": (time.monotonic() - started) / len(fit.history),
    }


def _prepare(library: Library) -> dict[str, Any]:
    """Prepares 1,000 new images into a copy of the library, whose groups were found before."""
    dice = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(dir=library.path.parent) as name:
        for number in range(ADDED + 1):
            folder = Path(name) / ("images" if number else "first")
            folder.mkdir(exist_ok=True)
            coarse = Image.fromarray(dice.integers(0, 256, (16, 16, 3), np.uint8))
            coarse.resize((512, 384), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
            (folder / f"{number}.txt").write_text(f"tag {number % 100}")
        copied = Library.create_or_open(Path(name) / "library")
        shutil.copytree(library.path / "images.lance", copied.path / "images.lance")
        started = time.monotonic()
        prepare(copied, open_source(Path(name) / "first"), SETTINGS)
        first = time.monotonic() - started
        started = time.monotonic()
        report = prepare(copied, open_source(Path(name) / "images"), SETTINGS)
        seconds = time.monotonic() - started
    groups = report.near_duplicate_groups
    return {"seconds": seconds, "all groups found": first, "groups": groups}


def _add(library: Library) -> dict[str, Any]:
    """Adds 1,000 images and their vectors, and takes them away again."""
    dimension = library.stored_vectors(FINGERPRINT).dimension
    collection = MadeCollection(np.random.default_rng(0).random((50, dimension), np.float32), TAGS)
    rows, vectors = collection.draw(ADDED)
    ids = rows.column("id").to_pylist()
    started = time.monotonic()
    _images(library.path).upsert(rows, "id")
    missing = library.without_vector(library.image_ids(), FINGERPRINT)
    library.add_vectors(FINGERPRINT, ids, vectors.astype(np.float32))
    seconds = time.monotonic() - started
    library.delete_images(ids)
    table = LanceTable(library.path / f"vectors-{FINGERPRINT}.lance", vector_schema(dimension))
    table.delete("id", ids)
    return {"seconds": seconds, "without a vector": len(missing)}


STEPS: dict[str, Callable[[Library], dict[str, Any]]] = {
    "columns of a search": _columns,
    "counts of tags": _counts,
    "vocabulary": _vocabulary,
    "near-duplicates": _duplicates,
    "search index": _index,
    "one search": _search,
    "prepare 1,000 images": _prepare,
    "add 1,000 images": _add,
    "variants": _variants,
    "an epoch of the head": _train,
}


if __name__ == "__main__":
    main()
