"""Images to vectors: each once, in good order, whatever fails on the way."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Demo, RunTagkin, subprocess_environment
from numpy.typing import NDArray
from PIL import Image

from tagkin import embeddings, images
from tagkin.backbones import BackboneConfig, Runtime, runtime
from tagkin.embeddings import LibrarySample, embed, embed_file, export_vectors
from tagkin.errors import BackboneError, ImageError, LibraryError
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings
from tagkin.sources import open_source


class CountingBackbone:
    """A backbone that is quick, remembers what it saw, and fails when told to."""

    def __init__(self, dimension: int = 4) -> None:
        self.dimension = dimension
        self.seen: list[Any] = []
        self.fail_after: int | None = None
        self.value: float | None = None

    def embed_stream(
        self, images: Iterable[tuple[Any, NDArray[np.uint8]]]
    ) -> Iterator[tuple[Any, NDArray[np.float32]]]:
        for key, image in images:
            if self.fail_after is not None and len(self.seen) >= self.fail_after:
                raise KeyboardInterrupt
            self.seen.append(key[0])  # the second part is the number of views
            vector = np.linspace(1, image.mean() + 1, self.dimension, dtype=np.float32)
            if self.value is not None:
                vector[-1] = self.value
            yield key, vector


@pytest.fixture
def settings(lite0_settings: Settings) -> Settings:
    return lite0_settings


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 12 small pictures; the first two have the same bytes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        colour = (20 * max(number, 1), 100, 255 - 20 * number if number > 1 else 0)
        Image.new("RGB", (20 + max(number, 1), 16), colour).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text("a tag, another", "utf-8")
    return folder


@pytest.fixture
def library(pictures: Path, settings: Settings, tmp_path: Path) -> Library:
    made = Library.create_or_open(tmp_path / "library")
    prepare(made, open_source(pictures), settings)
    return made


def test_makes_one_vector_per_image(
    library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    backbone = CountingBackbone()
    report = embed(library, lite0_config, settings, backbone=backbone)
    assert (report.images, report.added, report.already, report.problems) == (11, 11, 0, ())
    ids, vectors = library.vectors(lite0_config.fingerprint)
    assert ids == sorted(ids) == [row.id for row in library.images()]
    assert sorted(backbone.seen) == ids
    assert vectors.shape == (11, 4)
    assert library.state.active_backbone == lite0_config.to_dict()


def test_a_second_run_makes_nothing(
    library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    embed(library, lite0_config, settings, backbone=CountingBackbone())
    backbone = CountingBackbone()
    report = embed(library, lite0_config, settings, backbone=backbone)
    assert (report.added, report.already, backbone.seen) == (0, 11, [])


def test_an_interrupted_run_goes_on_where_it_stopped(
    library: Library,
    lite0_config: BackboneConfig,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embeddings, "_STORE_AFTER_VECTORS", 3)
    backbone = CountingBackbone()
    backbone.fail_after = 8
    with pytest.raises(KeyboardInterrupt):
        embed(library, lite0_config, settings, backbone=backbone)
    stored = library.vector_ids(lite0_config.fingerprint)
    assert len(stored) == 6
    again = CountingBackbone()
    report = embed(Library.open(library.path), lite0_config, settings, backbone=again)
    assert (report.added, report.already) == (5, 6)
    assert not stored & set(again.seen)
    ids, _ = library.vectors(lite0_config.fingerprint)
    assert ids == [row.id for row in library.images()]


def test_only_new_images_are_embedded(
    library: Library, pictures: Path, lite0_config: BackboneConfig, settings: Settings
) -> None:
    embed(library, lite0_config, settings, backbone=CountingBackbone())
    Image.new("RGB", (30, 30), (1, 2, 3)).save(pictures / "new.png")
    prepare(library, open_source(pictures), settings)
    report = embed(library, lite0_config, settings, backbone=CountingBackbone())
    assert (report.added, report.already) == (1, 11)


def test_vectors_of_two_backbones_stay_apart(
    library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    other = replace(lite0_config, views=("crop",))
    embed(library, lite0_config, settings, backbone=CountingBackbone(4))
    embed(library, other, settings, backbone=CountingBackbone(6))
    assert library.vectors(lite0_config.fingerprint)[1].shape == (11, 4)
    assert library.vectors(other.fingerprint)[1].shape == (11, 6)
    assert library.state.active_backbone == other.to_dict()


@pytest.mark.parametrize("damage", ["removed", "changed", "emptied", "a folder"])
def test_a_lost_file_is_a_problem_and_the_rest_goes_on(
    damage: str,
    library: Library,
    pictures: Path,
    lite0_config: BackboneConfig,
    settings: Settings,
) -> None:
    lost = pictures / "05.png"
    content = (pictures / "06.png").read_bytes()
    lost.unlink()
    if damage == "changed":
        lost.write_bytes(content)
    elif damage == "emptied":
        lost.touch()
    elif damage == "a folder":
        lost.mkdir()
    report = embed(library, lite0_config, settings, backbone=CountingBackbone())
    assert report.added == 10
    assert [problem.path for problem in report.problems] == [lost]
    assert report.problems[0].reason
    if damage == "changed":
        assert "tagkin prepare" in report.problems[0].reason
    assert lost in [problem.path for problem in library.problems()]
    assert report.to_dict()["problems"][0]["path"] == str(lost)


def test_a_copy_that_is_still_whole_is_used(
    library: Library, pictures: Path, lite0_config: BackboneConfig, settings: Settings
) -> None:
    (pictures / "00.png").write_bytes(b"damaged")
    report = embed(library, lite0_config, settings, backbone=CountingBackbone())
    assert (report.added, report.problems) == (11, ())


def test_an_empty_library_says_what_to_do(
    lite0_config: BackboneConfig, settings: Settings, tmp_path: Path
) -> None:
    empty = Library.create_or_open(tmp_path / "empty")
    with pytest.raises(LibraryError, match="tagkin prepare"):
        embed(empty, lite0_config, settings, backbone=CountingBackbone())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_a_vector_that_half_precision_cannot_hold_is_an_error(
    value: float, library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    backbone = CountingBackbone()
    backbone.value = value
    with pytest.raises(BackboneError, match="--precision f32"):
        embed(library, lite0_config, settings, backbone=backbone)
    assert library.vector_ids(lite0_config.fingerprint) == set()


def test_progress_counts_images(
    library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    calls: list[tuple[str, int, int]] = []
    embed(
        library,
        lite0_config,
        settings,
        backbone=CountingBackbone(),
        progress=lambda *call: calls.append(call),
    )
    assert [(done, total) for _, done, total in calls] == [(n, 11) for n in range(1, 12)]


def test_export_writes_float32_and_ids_in_the_same_order(
    demo_library: Demo, tmp_path: Path
) -> None:
    library = demo_library.library
    paths = export_vectors(library, demo_library.config, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["embeddings.npy", "image_ids.npy"]
    vectors, ids = (np.load(path, allow_pickle=False) for path in paths)
    stored_ids, stored = library.vectors(demo_library.config.fingerprint)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(stored_ids), 1280))
    assert ids.tolist() == stored_ids
    np.testing.assert_array_equal(vectors, stored.astype(np.float32))
    assert {p.name for p in paths[0].parent.iterdir()} == {"embeddings.npy", "image_ids.npy"}


def test_export_without_vectors_says_what_to_do(
    library: Library, lite0_config: BackboneConfig, tmp_path: Path
) -> None:
    with pytest.raises(LibraryError, match="tagkin embed"):
        export_vectors(library, lite0_config, tmp_path)


def test_export_to_where_nothing_can_be_written_is_an_error(
    demo_library: Demo, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="file"):
        export_vectors(demo_library.library, demo_library.config, tmp_path / "file")


def test_one_file_gets_the_vector_that_the_library_holds(demo_library: Demo) -> None:
    library = demo_library.library
    row = library.images()[0]
    image, vector = embed_file(row.paths[0], demo_library.config, demo_library.settings)
    assert image == row.id
    ids, vectors = library.vectors(demo_library.config.fingerprint)
    stored = vectors[ids.index(image)].astype(np.float32)
    np.testing.assert_allclose(vector, stored, rtol=1e-3, atol=1e-3)


def test_a_file_that_is_no_image_is_named(
    lite0_config: BackboneConfig, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("not an image")
    for wrong in (path, tmp_path / "absent.jpg"):
        with pytest.raises(ImageError, match=wrong.name):
            embed_file(wrong, lite0_config, settings)


# A drive that has gone


def hang(
    monkeypatch: pytest.MonkeyPatch, *names: str, release: threading.Event | None = None
) -> None:
    """Has files of these names hang, as those on a network drive that has gone."""
    read_bytes = images.read_bytes
    waits = release or threading.Event()

    def read(path: Path, limits: images.ImageLimits) -> bytes:
        if path.name in names:
            waits.wait(20)
        return read_bytes(path, limits)

    monkeypatch.setattr(images, "read_bytes", read)


@pytest.mark.parametrize("names", [("05.png",), ("03.png", "04.png", "07.png")])
def test_a_file_that_hangs_is_a_problem_and_the_rest_is_embedded(
    names: tuple[str, ...],
    library: Library,
    pictures: Path,
    lite0_config: BackboneConfig,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    hang(monkeypatch, *names, release=release)
    hasty = settings.model_copy(update={"read_timeout": 0.5, "decode_threads": 2})
    report = embed(library, lite0_config, hasty, backbone=CountingBackbone())
    release.set()
    assert report.added == 11 - len(names)
    assert sorted(problem.path.name for problem in report.problems) == sorted(names)
    assert all(
        "within 0.5 seconds; raise read_timeout" in problem.reason for problem in report.problems
    )
    assert {pictures / name for name in names} <= {p.path for p in library.problems()}
    monkeypatch.undo()
    again = embed(library, lite0_config, settings, backbone=CountingBackbone())
    assert (again.added, again.problems) == (len(names), ())  # when the drive is back
    assert library.problems() == []


def test_a_drive_that_has_gone_ends_the_run_with_a_clear_message(
    library: Library,
    pictures: Path,
    lite0_config: BackboneConfig,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    hang(monkeypatch, *(path.name for path in pictures.iterdir()), release=release)
    hasty = settings.model_copy(update={"read_timeout": 0.2, "decode_threads": 4})
    with pytest.raises(LibraryError, match=r"10 files in a row.*drive"):
        embed(library, lite0_config, hasty, backbone=CountingBackbone())
    release.set()
    monkeypatch.undo()
    again = embed(library, lite0_config, settings, backbone=CountingBackbone())
    assert (again.added, again.problems) == (11, ())


# Views


def test_the_vector_of_several_views_is_the_mean_of_theirs(
    demo_images: list[Path],
    lite0_config: BackboneConfig,
    lite0: Runtime,
    settings: Settings,
    tmp_path: Path,
) -> None:
    library = Library.create_or_open(tmp_path / "library")
    (tmp_path / "drawings").mkdir()
    for path in demo_images[:6]:
        shutil.copy(path, tmp_path / "drawings")
    prepare(library, open_source(tmp_path / "drawings"), settings)
    stored = []
    for views in (("squeeze",), ("crop-flip",), ("squeeze", "crop-flip")):
        config = replace(lite0_config, views=views)
        assert embed(library, config, settings, backbone=lite0).added == 6
        ids, vectors = library.vectors(config.fingerprint)
        assert len(ids) == 6
        stored.append(vectors.astype(np.float32))
    squeeze, crop, both = stored
    assert np.abs(squeeze - crop).max(axis=1).min() > 0.01
    np.testing.assert_allclose(both, (squeeze + crop) / 2, rtol=2e-3, atol=1e-3)
    row = library.images()[4]
    _, vector = embed_file(row.paths[0], config, settings)
    np.testing.assert_allclose(vector, both[4], rtol=2e-3, atol=1e-3)


# Precision


@pytest.mark.parametrize(
    ("precision", "where"), [("bf16", "a processor with bf16"), ("f16", "--device gpu")]
)
def test_vectors_of_other_arithmetic_are_not_added_but_single_queries_work(
    precision: Any,
    where: str,
    library: Library,
    pictures: Path,
    lite0_config: BackboneConfig,
    lite0: Runtime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (embeddings, runtime):
        monkeypatch.setattr(module, "has_bf16", lambda: False)
    config = replace(lite0_config, precision=precision)
    with pytest.raises(BackboneError, match=f"{where}.*--precision f32"):
        embed(library, config, settings)
    assert library.vector_ids(config.fingerprint) == set()
    assert library.state.active_backbone is None
    _, vector = embed_file(pictures / "05.png", config, settings)
    _, expected = embed_file(pictures / "05.png", lite0_config, settings)
    np.testing.assert_array_equal(vector, expected)
    # Where all are there, nothing is added, and searching goes on.
    embed(library, config, settings, backbone=CountingBackbone())
    assert embed(library, config, settings).added == 0


# The sample by which a precision is judged


def test_a_sample_shows_images_as_the_backbone_sees_them(
    library: Library, lite0_config: BackboneConfig, settings: Settings
) -> None:
    config = replace(lite0_config, image_size=32, views=("squeeze", "crop"))
    sample = LibrarySample(library, settings)
    ids = sample.ids(5)
    assert ids == sample.ids(11)[:5] == [row.id for row in library.images()][:5]
    pixels = sample.pixels(ids, config)
    assert (pixels.shape, pixels.dtype) == ((5, 32, 32, 3), np.uint8)
    limits = images.ImageLimits.from_settings(settings)
    files = {row.id: row.paths[0] for row in library.images()}
    views = [embeddings.decode_views(files[one].read_bytes(), config, limits) for one in ids]
    for number in range(5):  # one of the views for each image in turn
        np.testing.assert_array_equal(pixels[number], views[number][number % 2])
    crops = sample.pixels(ids[::-1], replace(config, views=("crop",)))
    np.testing.assert_array_equal(crops[0], views[4][1])  # in the order of the ids


def test_images_that_cannot_be_read_are_left_out_of_a_sample(
    library: Library, pictures: Path, lite0_config: BackboneConfig, settings: Settings
) -> None:
    config = replace(lite0_config, image_size=32)
    sample = LibrarySample(library, settings)
    ids = sample.ids(11)
    assert len(sample.pixels(ids, config)) == 11
    (pictures / "05.png").write_bytes(b"damaged")
    (pictures / "06.png").unlink()
    assert len(sample.pixels(ids, config)) == 9
    assert library.problems() == []
    Image.new("RGB", (50, 50), (1, 2, 3)).save(pictures / "05.png")  # edited in place
    prepare(library, open_source(pictures), settings)
    assert sum(not row.files for row in library.images()) == 1
    again = LibrarySample(Library.open(library.path), settings)
    assert again.ids(11) == ids
    assert len(again.pixels(ids, config)) == 9
    shutil.rmtree(pictures)
    assert sample.pixels(ids, config).shape == (0, 32, 32, 3)
    assert sample.pixels([], config).shape == (0, 32, 32, 3)


def test_a_sample_stays_the_same_while_the_library_grows(
    settings: Settings, tmp_path: Path
) -> None:
    library = Library.create_or_open(tmp_path / "library")
    dice = random.Random(0)
    ids = [f"{dice.getrandbits(128):032x}" for _ in range(700)]
    rows = [ImageRow(i, (ImageFile(Path(i), (), 1, 1),), 1, 1, "png", 1, 0) for i in ids]
    library.upsert_images(rows[:600])
    before = LibrarySample(library, settings).ids(556)
    library.upsert_images(rows[600:])
    after = LibrarySample(Library.open(library.path), settings)
    assert after.ids(556) == before
    assert after.ids(16) == before[:16]
    assert len(set(before)) == 556


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("can't mount a file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.fault
def test_a_full_disk_loses_nothing_and_the_run_goes_on_later(
    small_disk: Path,
    demo_library: Demo,
    lite0: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = small_disk / "library"
    path.mkdir()
    for name in ("library.json", "images.lance", "problems.lance"):
        source = demo_library.path / name
        copy: Callable[..., Any] = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, path / name)
    ballast = small_disk / "ballast"
    free = shutil.disk_usage(small_disk).free
    ballast.write_bytes(bytes(max(0, free - 200_000)))
    monkeypatch.setattr(embeddings, "_STORE_AFTER_VECTORS", 20)
    library = Library.open(path)
    config, settings = demo_library.config, demo_library.settings
    with pytest.raises(LibraryError, match="free space"):
        embed(library, config, settings, backbone=CountingBackbone(1280))
    stored = Library.open(path).vector_ids(config.fingerprint)
    total = len(library.images())
    assert 0 < len(stored) < total
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    report = embed(Library.open(path), config, settings, backbone=CountingBackbone(1280))
    assert (report.already, report.added) == (len(stored), total - len(stored))
    ids, _ = library.vectors(config.fingerprint)
    assert ids == [row.id for row in library.images()]


# The command itself, with small batches and slow, so that kills come before, in and after them.
_SLOW_EMBED = """
import time
from tagkin import embeddings
from tagkin.backbones import Runtime
from tagkin.cli.main import run

take = Runtime._take

def slow_take(*arguments):
    time.sleep(0.04)
    return take(*arguments)

Runtime._take = staticmethod(slow_take)
embeddings._STORE_AFTER_VECTORS = 16
run()
"""


@pytest.mark.fault
def test_killed_ten_times_the_vectors_are_those_of_an_undisturbed_run(
    demo_library: Demo, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for path in (undisturbed, killed):
        shutil.copytree(demo_library.path, path, ignore=shutil.ignore_patterns("vectors-*"))
    arguments = ["embed", "--model", "efficientnet-lite0", "--precision", "f32", "--library"]
    done = run_tagkin(*arguments, undisturbed)
    assert done.returncode == 0, done.stderr
    fingerprint = demo_library.config.fingerprint
    dice = random.Random(0)
    stored = []
    kills = 0
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", _SLOW_EMBED, *arguments, str(killed)],
            env=subprocess_environment(),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(dice.uniform(0.2, 6))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        stored.append(len(Library.open(killed).vector_ids(fingerprint)))
    print(f"killed {kills} times, vectors stored after each: {stored}")
    assert kills >= 5
    assert stored == sorted(stored)
    assert stored[-1] > 0
    done = run_tagkin(*arguments, killed)
    assert done.returncode == 0, done.stderr
    expected_ids, expected = Library.open(undisturbed).vectors(fingerprint)
    ids, vectors = Library.open(killed).vectors(fingerprint)
    assert ids == expected_ids == [row.id for row in demo_library.library.images()]
    assert vectors.tobytes() == expected.tobytes()
