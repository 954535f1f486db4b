"""A library on object storage: all that one on a disk does, and what two machines do to it."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, RunTagkin
from object_store import Bucket

from tagkin import leases
from tagkin.backbones import Runtime
from tagkin.checking import check_library
from tagkin.demo import demo_collection
from tagkin.embeddings import embed
from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.locking import one_at_a_time, only_one, running
from tagkin.preparing import prepare
from tagkin.remote_paths import RemotePath, as_path
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.tagger import Tagger, tagger_names
from tagkin.variants.in_library import find_in_library
from tagkin.variants.stored import load_proposals, save_proposals


def address(bucket: Bucket, name: str) -> RemotePath:
    path = as_path(bucket.address(name))
    assert isinstance(path, RemotePath)
    return path


def new_library(bucket: Bucket, name: str) -> Library:
    return Library.create_or_open(address(bucket, name))


@pytest.fixture(scope="module")
def filled(object_store: Bucket, demo_library: Demo, lite0: Runtime) -> tuple[Library, Settings]:
    library = new_library(object_store, "demo/library")
    settings = demo_library.settings.model_copy(update={"library": library.path})
    prepare(library, open_source(demo_collection()), settings)
    embed(library, demo_library.config, settings, backbone=lite0)
    return library, settings


def test_it_holds_what_one_on_a_disk_holds(
    filled: tuple[Library, Settings], demo_library: Demo
) -> None:
    library, _ = filled
    local, fingerprint = demo_library.library, demo_library.config.fingerprint
    again = Library.open(library.path)
    assert again.images() == local.images()
    assert again.tag_counts() == local.tag_counts()
    assert again.state.active_backbone == local.state.active_backbone
    assert again.fingerprints() == [fingerprint]
    ids, vectors = again.vectors(fingerprint)
    expected = local.vectors(fingerprint)
    assert ids == expected[0]
    np.testing.assert_array_equal(vectors, expected[1])


def test_decisions_edits_and_proposals(
    filled: tuple[Library, Settings], demo_library: Demo
) -> None:
    library, settings = filled
    found = find_in_library(library, demo_library.config.fingerprint, settings)
    assert load_proposals(library) is None
    save_proposals(library, found)
    assert load_proposals(Library.open(library.path)) == found
    library.decide("merge", ("a", "b"), canonical="a")
    assert [one.tags for one in Library.open(library.path).decisions()] == [("a", "b")]


def test_a_tagger_is_seen_from_another_machine(
    object_store: Bucket,
    filled: tuple[Library, Settings],
    demo_library: Demo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library, _ = filled
    demo = demo_library.library
    saved = Tagger.load(demo.taggers_path / demo_library.report.tagger)
    folder = saved.save_in(library.taggers_path)
    library.publish_tagger(folder)
    monkeypatch.setenv("TAGKIN_CACHE_DIR", str(tmp_path / "other machine"))
    elsewhere = Library.open(library.path)
    assert elsewhere.working_path != library.working_path
    there = Tagger.load(elsewhere.taggers_path / folder.name)
    np.testing.assert_array_equal(there.head.kernel, saved.head.kernel)
    assert there.tags == saved.tags
    # What a killed process left of one is seen by nobody, and in nobody's way.
    object_store.put(f"demo/library/taggers/{folder.name[:-1]}2/neighbours.npz", b"a part")
    assert tagger_names(elsewhere.taggers_path) == [folder.name]
    # Both save one under the next name: the slower is told, and the first one stays.
    other = replace(saved, thresholds=saved.thresholds / np.float32(2))
    second, third = saved.save_in(elsewhere.taggers_path), other.save_in(library.taggers_path)
    assert second.name == third.name
    elsewhere.publish_tagger(second)
    with pytest.raises(LibraryError, match="another process has stored"):
        library.publish_tagger(third)
    first_one = Tagger.load(library.taggers_path / third.name)
    np.testing.assert_array_equal(first_one.thresholds, saved.thresholds)
    # A process that was killed before it stored one: the next that looks for taggers does so.
    fourth = other.save_in(library.taggers_path)
    assert fourth.name not in tagger_names(elsewhere.taggers_path)
    assert fourth.name in tagger_names(library.taggers_path)
    assert fourth.name in tagger_names(elsewhere.taggers_path)
    library.publish_tagger(fourth)  # as one does that wasn't killed, but slow
    # One that was deleted there is gone here too.
    for file in (elsewhere.taggers_path / fourth.name).iterdir():
        object_store.delete(f"demo/library/taggers/{fourth.name}/{file.name}")
    assert tagger_names(library.taggers_path) == [folder.name, second.name]
    assert check_library(filled[1]).findings == ()


def test_commands_take_the_address(filled: tuple[Library, Settings], run_tagkin: RunTagkin) -> None:
    library, _ = filled
    described = ("recommend", "--assume", "64 GiB, 8 threads, no GPU")
    for command in (("similar", "--tag", "cat"), ("check",), ("duplicates",), described):
        done = run_tagkin(*command, "--library", str(library.path), "--json")
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done
        assert json.loads(done.stdout)
    done = run_tagkin("check", env={"TAGKIN_LIBRARY": str(library.path)})
    assert "nothing is wrong" in done.stdout
    assert str(library.path) not in done.stderr
    refused = run_tagkin("train", "--fine-tune", "--library", str(library.path))
    assert refused.returncode == 2
    assert "copy it to a disk" in refused.stderr.replace("\n", " ")


def test_no_change_of_another_machine_is_lost(object_store: Bucket) -> None:
    library = new_library(object_store, "two/library")
    machines = [Library.open(library.path) for _ in range(4)]

    def change(number: int) -> None:
        for step in range(5):
            with one_at_a_time(library.path, "remembered"):
                before = Library.open(library.path).state.remembered
                machines[number].update_state(remembered={**before, f"{number}-{step}": step})

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    library.update_state(prepared=True)  # an entry of its own, beside all that
    for thread in threads:
        thread.join()
    state = Library.open(library.path).state
    assert len(state.remembered) == 20
    assert state.prepared


def test_one_prepare_at_a_time(object_store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.3)
    path = new_library(object_store, "alone/library").path
    with only_one(path, "prepare", "'tagkin prepare'"):
        assert running(path) == ("prepare",)
        with (
            pytest.raises(LibraryError, match="another 'tagkin prepare' is at work"),
            only_one(path, "prepare", "'tagkin prepare'"),
        ):
            pass
    assert running(path) == ()


def test_a_lease_whose_holder_has_died_is_taken_over(
    object_store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_library(object_store, "dead/library").path
    object_store.put("dead/library/.lock-prepare", b"{}")
    monkeypatch.setattr(leases, "DEAD_SECONDS", 1.0)
    started = time.monotonic()
    with only_one(path, "prepare", "'tagkin prepare'"):
        assert time.monotonic() - started >= 1.0
    assert running(path) == ()


def test_a_lease_that_was_lost_is_told(
    object_store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.1)
    path = new_library(object_store, "lost/library").path
    with (
        pytest.raises(LibraryError, match="could not reach"),
        only_one(path, "prepare", "'tagkin prepare'"),
    ):
        object_store.put("lost/library/.lock-prepare", b"somebody else's")
        time.sleep(0.5)
    assert running(path) == ("prepare",)  # which is not ours to take away


def test_what_is_no_library_says_so(object_store: Bucket, run_tagkin: RunTagkin) -> None:
    object_store.put("holiday/beach.jpg", b"not a library")
    for text, told in (
        (object_store.address("holiday"), "is not empty (it holds 'beach.jpg')"),
        (f"s3://{object_store.name}", "is a whole bucket"),
        ("https://example.org/library", "which can't hold a library"),
        ("s3://no-such-bucket/library", "no-such-bucket"),
    ):
        done = run_tagkin("prepare", demo_collection(), "--library", text)
        said = " ".join(done.stderr.split())
        assert (done.returncode, "Traceback" in said) == (2, False), said
        assert told in said
    done = run_tagkin("similar", "--tag", "x", "--library", object_store.address("nothing"))
    assert done.returncode == 2
    assert "there is no Tagkin library in s3://" in " ".join(done.stderr.split())


@pytest.mark.slow  # it is asked for half a minute
def test_a_store_that_is_down_is_told(object_store: Bucket, run_tagkin: RunTagkin) -> None:
    closed = {"AWS_ENDPOINT": "http://127.0.0.1:9"}
    done = run_tagkin(
        "similar", "--tag", "x", "--library", object_store.address("demo/library"), env=closed
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "can't be read" in " ".join(done.stderr.split())


def test_damage_is_found_and_not_mended_there(
    object_store: Bucket, filled: tuple[Library, Settings], demo_library: Demo
) -> None:
    library = new_library(object_store, "broken/library")
    settings = demo_library.settings.model_copy(update={"library": library.path})
    library.upsert_images(demo_library.library.images()[:10])
    found = object_store.client.list_objects_v2(
        Bucket=object_store.name, Prefix="broken/library/images.lance/data/"
    )
    object_store.delete(found["Contents"][0]["Key"])
    report = check_library(settings)
    assert any(one.part == "images" and one.open for one in report.findings)
    with pytest.raises(LibraryError, match="copy it to a disk"):
        check_library(settings, repair=True)
