"""SIGKILL at random moments of every command that writes: nothing that was stored is lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from helpers_collection import collection
from helpers_faults import LITE0, Killed, cut, tagkin, wrong

from tagkin.backbones import list_cache
from tagkin.demo import demo_collection
from tagkin.library import Library
from tagkin.tagger import Tagger, tagger_names

SEED = 9

pytestmark = pytest.mark.fault


def copy_of(demo: Demo, *left_out: str) -> Callable[[Path], None]:
    def fresh(folder: Path) -> None:
        ignore = shutil.ignore_patterns(*left_out)
        shutil.copytree(demo.path, folder / "library", ignore=ignore)

    return fresh


def nothing_lost(folder: Path) -> None:
    library = folder / "library"
    if (library / "library.json").exists():
        assert wrong(library) == []


def test_prepare(tmp_path: Path) -> None:
    source = collection(tmp_path / "pictures", 60)
    ids: list[str] = []

    def check(folder: Path) -> None:
        nothing_lost(folder)
        if (folder / "library" / "library.json").exists():
            now = [row.id for row in Library.open(folder / "library").images()]
            assert set(ids) <= set(now)
            ids[:] = now

    kills = Killed(
        "prepare",
        lambda folder: ("prepare", source, "--library", folder / "library"),
        lambda folder: ids.clear(),
        check,
    ).run(tmp_path / "work", 10, SEED)
    assert kills >= 8
    library = Library.open(tmp_path / "work" / "library")
    undisturbed = tmp_path / "undisturbed"
    tagkin("prepare", source, "--library", undisturbed)
    assert library.images() == Library.open(undisturbed).images()


def test_embed(demo_library: Demo, tmp_path: Path) -> None:
    vectors: dict[str, bytes] = {}
    fingerprint = demo_library.config.fingerprint
    expected = dict(zip(*demo_library.library.vectors(fingerprint), strict=True))

    def check(folder: Path) -> None:
        nothing_lost(folder)
        found = Library.open(folder / "library").vectors(fingerprint)
        now = {one: vector.tobytes() for one, vector in zip(*found, strict=True)}
        assert vectors.items() <= now.items()
        vectors.update(now)

    def fresh(folder: Path) -> None:
        vectors.clear()
        copy_of(demo_library, "vectors-*", "taggers")(folder)

    kills = Killed(
        "embed",
        lambda folder: ("embed", "--library", folder / "library", *LITE0),
        fresh,
        check,
    ).run(tmp_path / "work", 10, SEED)
    assert kills >= 8
    found = Library.open(tmp_path / "work" / "library").vectors(fingerprint)
    assert found[0] == list(expected)
    np.testing.assert_allclose(
        np.float32(found[1]), np.float32(list(expected.values())), rtol=0.02, atol=0.02
    )


def test_train(demo_library: Demo, tmp_path: Path) -> None:
    def check(folder: Path) -> None:
        nothing_lost(folder)
        taggers = Library.open(folder / "library").taggers_path
        for name in tagger_names(taggers):  # none, or all of it
            Tagger.load(taggers / name)

    kills = Killed(
        "train",
        lambda folder: ("train", "--library", folder / "library"),
        copy_of(demo_library, "taggers"),
        check,
        {"TAGKIN_MAX_EPOCHS": "3"},
    ).run(tmp_path / "work", 4, SEED)
    assert kills >= 3
    taggers = Library.open(tmp_path / "work" / "library").taggers_path
    assert tagger_names(taggers)
    visible = [path.name for path in taggers.iterdir() if not path.name.startswith(".")]
    assert sorted(visible) == sorted(tagger_names(taggers))


def test_variants_and_decisions(demo_library: Demo, tmp_path: Path) -> None:
    kills = Killed(
        "variants",
        lambda folder: ("variants", "--library", folder / "library"),
        copy_of(demo_library, "taggers"),
        nothing_lost,
    ).run(tmp_path / "work", 5, SEED)

    taken: list[tuple[str, ...]] = []

    def check(folder: Path) -> None:
        nothing_lost(folder)
        decisions = Library.open(folder / "library").decisions()
        now = [(one.kind, *one.tags) for one in decisions]
        assert [one.number for one in decisions] == list(range(1, len(now) + 1))
        assert now[: len(taken)] == taken
        taken[:] = now

    def decided(folder: Path) -> None:
        taken.clear()
        copy_of(demo_library, "taggers", "vectors-*")(folder)

    tags = [tag for tag, _ in demo_library.library.tag_counts().most_common(4)]
    kills += Killed(
        "variants merge",
        lambda folder: ("variants", "merge", *tags[:2], "--library", folder / "library"),
        decided,
        check,
        anew=True,
    ).run(tmp_path / "merge", 6, SEED)

    def merged(folder: Path) -> None:
        decided(folder)
        library = Library.open(folder / "library")
        for place in range(20):
            library.decide("merge", [tags[0], f"x{place}"], canonical=tags[0])
        check(folder)

    kills += Killed(
        "variants undo",
        lambda folder: ("variants", "undo", "--library", folder / "library"),
        merged,
        check,
    ).run(tmp_path / "undo", 5, SEED)
    assert kills >= 10


def test_predict_that_writes(demo_library: Demo, tmp_path: Path) -> None:
    images = sorted((demo_collection().parent / "images").iterdir())[:60]
    written: dict[str, str] = {}

    def fresh(folder: Path) -> None:
        written.clear()
        (folder / "images").mkdir()
        for image in images:
            shutil.copy(image, folder / "images" / image.name)

    def check(folder: Path) -> None:
        assert len(list((folder / "images").glob("[!.]*"))) >= len(images)
        for image in images:  # no image is touched
            assert (folder / "images" / image.name).read_bytes() == image.read_bytes()
        now = {file.name: file.read_text("utf-8") for file in (folder / "images").glob("[!.]*.txt")}
        assert all(now.values())  # a file is whole, or it is not there
        assert written.items() <= now.items()
        written.update(now)

    kills = Killed(
        "predict --to txt",
        lambda folder: (
            *("predict", folder / "images", "--tagger", demo_library.tagger),
            *("--top", "3", "--to", "txt"),
        ),
        fresh,
        check,
    ).run(tmp_path / "beside", 6, SEED)
    assert len(written) == len(images)

    def whole(folder: Path) -> None:
        if (folder / "out.jsonl").exists():
            lines = (folder / "out.jsonl").read_text("utf-8").splitlines()
            assert len([json.loads(line) for line in lines]) == len(images)

    kills += Killed(
        "predict --to jsonl",
        lambda folder: (
            *("predict", *images, "--tagger", demo_library.tagger, "--update"),
            *("--to", "jsonl", "--output", folder / "out.jsonl"),
        ),
        lambda folder: None,
        whole,
    ).run(tmp_path / "list", 4, SEED)
    assert kills >= 8


def test_check_repair(demo_library: Demo, tmp_path: Path) -> None:
    import lance

    def fresh(folder: Path) -> None:
        library = folder / "library"
        shutil.copytree(demo_library.path, library, ignore=shutil.ignore_patterns("taggers"))
        opened = Library.open(library)
        rows = opened.images()
        for start in range(0, 40, 10):  # fragments of their own
            opened.upsert_images(rows[start : start + 10])
        for place in range(6):
            opened.decide("reject", ["a", str(place)])
        table = library / "images.lance"
        fragments = lance.dataset(str(table)).get_fragments()
        cut(table / "data" / fragments[-1].data_files()[0].path)
        cut(min((library / "decisions.lance" / "_versions").glob("*.manifest")))
        cut(next((library / f"vectors-{demo_library.config.fingerprint}.lance" / "data").iterdir()))

    total = len(demo_library.library.images())

    def check(folder: Path) -> None:
        """All that could be read before can still be read, whenever it was killed."""
        found = wrong(folder / "library")
        images = [one for one in found if one.part == "images" and one.level == "damage"]
        if not images:
            assert len(Library.open(folder / "library").images()) == total - 10
        else:
            assert [one.count for one in images] == [10]
        if not any(one.part == "decisions" for one in found):
            numbers = [one.number for one in Library.open(folder / "library").decisions()]
            assert numbers == [1, 2, 3, 4, 5, 6]

    kills = Killed(
        "check --repair",
        lambda folder: ("check", "--repair", "--library", folder / "library"),
        fresh,
        check,
    ).run(tmp_path / "work", 8, SEED)
    assert kills >= 6
    assert wrong(tmp_path / "work" / "library") == []


def test_cache(demo_library: Demo, tmp_path: Path) -> None:
    def fresh(folder: Path) -> None:
        copy_of(demo_library, "vectors-*", "taggers")(folder)
        (folder / "cache").mkdir()

    def check(folder: Path) -> None:
        nothing_lost(folder)
        for entry in list_cache(folder / "cache"):  # a graph with its name is whole
            assert entry.whole or entry.key.startswith(".")

    folder = tmp_path / "export"
    kills = Killed(
        "embed that exports",
        lambda folder: ("embed", "--library", folder / "library", *LITE0),
        fresh,
        check,
        {"TAGKIN_CACHE_DIR": str(folder / "cache")},
    ).run(folder, 2, SEED)

    def filled(folder: Path) -> None:
        fresh(folder)
        key = demo_library.config.graph_key
        source = demo_library.settings.cache_dir / "graphs" / key
        shutil.copytree(source, folder / "cache" / "graphs" / key)

    folder = tmp_path / "clear"
    kills += Killed(
        "cache --clear",
        lambda folder: ("cache", "--clear"),
        filled,
        lambda folder: None,
        {"TAGKIN_CACHE_DIR": str(folder / "cache")},
    ).run(folder, 3, SEED)
    assert list_cache(folder / "cache") == []
    assert kills >= 3
