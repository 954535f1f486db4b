"""Damaged tables and graphs, from the command line: a clear error, a repair, and on it goes."""

import json
import shutil
from pathlib import Path

import lance
import numpy as np
import pytest
from conftest import Demo
from helpers_faults import LITE0, cut, tagkin, wrong

from tagkin.demo import demo_collection
from tagkin.library import Library

pytestmark = pytest.mark.fault


def parts(output: str) -> set[str]:
    return {one["part"] for one in json.loads(output)["findings"] if one["level"] != "note"}


def test_a_damaged_fragment_of_vectors(demo_copy: Demo) -> None:
    library, fingerprint = demo_copy.path, demo_copy.config.fingerprint
    expected = demo_copy.library.vectors(fingerprint)
    file = min((library / f"vectors-{fingerprint}.lance" / "data").iterdir())
    cut(file)
    for command in (("train",), ("variants",), ("embed", *LITE0)):
        told = tagkin(*command, "--library", library, expected=2).stderr
        assert "can't read" in told
        assert "tagkin check" in told
    found = tagkin("check", "--library", library, "--json", expected=1)
    assert parts(found.stdout) == {"vectors"}
    assert file.name in found.stdout
    tagkin("check", "--repair", "--library", library)
    tagkin("check", "--library", library)
    tagkin("embed", "--library", library)
    ids, vectors = Library.open(library).vectors(fingerprint)
    assert ids == expected[0]
    np.testing.assert_allclose(np.float32(vectors), np.float32(expected[1]), rtol=0.02, atol=0.02)


def test_a_damaged_fragment_of_images(demo_copy: Demo) -> None:
    library = demo_copy.path
    opened = demo_copy.library
    opened.upsert_images(opened.images()[:50])
    expected = opened.images()
    table = library / "images.lance"
    last = lance.dataset(str(table)).get_fragments()[-1]
    cut(table / "data" / last.data_files()[0].path)
    assert "tagkin check" in tagkin("train", "--library", library, expected=2).stderr
    tagkin("check", "--library", library, expected=1)
    told = tagkin("check", "--repair", "--library", library).stdout
    assert "tagkin prepare SOURCE" in " ".join(told.split())
    kept = Library.open(library).images()
    assert kept == [row for row in expected if row.id in {one.id for one in kept}]
    assert len(kept) == len(expected) - 50
    tagkin("prepare", demo_collection(), "--library", library)
    again = Library.open(library).images()
    assert [(row.id, row.files) for row in again] == [(row.id, row.files) for row in expected]
    # The vectors of the images that were gone meanwhile are still there.
    assert wrong(library) == []
    ids = Library.open(library).vector_ids(demo_copy.config.fingerprint)
    assert {row.id for row in again} == ids


def test_damaged_last_versions(demo_copy: Demo) -> None:
    library = demo_copy.path
    opened = demo_copy.library
    opened.decide("reject", ["a", "b"])
    opened.decide("reject", ["a", "c"])
    rows, taken = opened.images(), opened.decisions()
    for table in library.glob("*.lance"):
        cut(min((table / "_versions").glob("*.manifest")))
    assert "can't read" in tagkin("train", "--library", library, expected=2).stderr
    tagkin("check", "--library", library, expected=1)
    tagkin("check", "--repair", "--library", library)
    tagkin("check", "--library", library)
    after = Library.open(library)
    assert (after.images(), after.decisions()) == (rows, taken)
    assert len(after.vectors(demo_copy.config.fingerprint)[0]) == len(rows)
    tagkin("train", "--library", library, env={"TAGKIN_MAX_EPOCHS": "2"})


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "gone"])
def test_a_damaged_graph_in_the_cache(demo_copy: Demo, tmp_path: Path, how: str) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(demo_copy.settings.cache_dir / "graphs", cache / "graphs")
    weights = cache / "graphs" / demo_copy.config.graph_key / "model.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged = {"cut": content[: len(content) // 2], "empty": b"", "flipped": content}
    weights.unlink() if how == "gone" else weights.write_bytes(damaged[how])
    env = {"TAGKIN_CACHE_DIR": str(cache)}
    library = demo_copy.path
    expected = demo_copy.library.vectors(demo_copy.config.fingerprint)
    assert parts(tagkin("check", "--library", library, "--json", env=env, expected=1).stdout) == {
        "cache"
    }
    if how in ("cut", "gone"):  # without a repair, what needs the graph makes it again
        shutil.rmtree(library / f"vectors-{demo_copy.config.fingerprint}.lance")
        tagkin("embed", "--library", library, env=env)
        ids, vectors = Library.open(library).vectors(demo_copy.config.fingerprint)
        assert ids == expected[0]
        np.testing.assert_allclose(
            np.float32(vectors), np.float32(expected[1]), rtol=0.02, atol=0.02
        )
    else:
        told = tagkin("check", "--repair", "--library", library, env=env).stdout
        assert "made again" in " ".join(told.split())
    tagkin("check", "--library", library, env=env)
