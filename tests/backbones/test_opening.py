"""From settings to a backbone: which precision comes out, what it costs, and what is refused."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tagkin.backbones import (
    BackboneConfig,
    Runtime,
    cached_graph,
    int8,
    list_cache,
    open_backbone,
    opening,
    resolve_backbone,
)
from tagkin.backbones.tuning import PrecisionChoice
from tagkin.embeddings import LibrarySample
from tagkin.errors import BackboneError
from tagkin.library import Library
from tagkin.records import ImageFile, ImageRow
from tagkin.settings import Settings, load_settings


class MadeSample:
    """A library with so many images, some of which can't be read."""

    def __init__(self, count: int, unreadable: int = 0) -> None:
        self.count = count
        self.unreadable = {f"{number:032x}" for number in range(unreadable)}

    def ids(self, count: int) -> Sequence[str]:
        return [f"{number:032x}" for number in range(self.count)][:count]

    def pixels(self, ids: Sequence[str], config: BackboneConfig) -> NDArray[np.uint8]:
        size = config.image_size
        return np.zeros((len(set(ids) - self.unreadable), size, size, 3), np.uint8)


@dataclass(frozen=True)
class Report:
    mean_cosine: float
    neighbour_overlap: float
    left_out: tuple[str, ...] = ()
    calibration_images: int = 0


class Quantizer:
    """Stands in for NNCF.

    Attributes:
        overlap: Of the nearest neighbours, which its graphs keep.
        calls: Numbers of images to calibrate and to check with, and the overlap asked for.
    """

    def __init__(self) -> None:
        self.overlap = 0.9
        self.left_out: tuple[str, ...] = ()
        self.error: Exception | None = None
        self.calls: list[tuple[int, int, float]] = []

    def __call__(
        self,
        graph: Path,
        folder: Path,
        calibration: NDArray[np.uint8],
        check: NDArray[np.uint8],
        *,
        min_overlap: float,
        **_: Any,
    ) -> Report:
        assert graph.is_file()
        if self.error:
            raise self.error
        self.calls.append((len(calibration), len(check), min_overlap))
        for suffix in (".xml", ".bin"):  # the f32 graph, which can be loaded
            (folder / f"model{suffix}").write_bytes(graph.with_suffix(suffix).read_bytes())
        return Report(0.97, self.overlap, self.left_out, len(calibration))


@pytest.fixture
def quantizer(filled: None, monkeypatch: pytest.MonkeyPatch) -> Quantizer:
    made = Quantizer()
    module = ModuleType("tagkin.backbones.quantize")
    module.quantize_graph = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


SMALL = {"model_architecture": "efficientnet-lite0", "image_size": 32}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings for a small backbone, with an empty cache."""

    def make(**more: Any) -> Settings:
        return load_settings({**SMALL, "cache_dir": tmp_path / "cache", **more})

    return make


@pytest.fixture(scope="session")
def exported(cache_dir: Path) -> Path:
    """The folder of that backbone in f32."""
    config = resolve_backbone(load_settings({**SMALL, "precision": "f32"}))
    return cached_graph(config, cache_dir).parent


@pytest.fixture
def filled(exported: Path, settings: Callable[..., Settings]) -> None:
    """Has that backbone in the cache."""
    shutil.copytree(exported, settings().cache_dir / "graphs" / exported.name)


@pytest.fixture
def notes() -> list[str]:
    return []


def no_export(*_: Any) -> Path:
    pytest.fail("nothing need be exported for this")


# auto


def test_auto_without_bf16_is_f32_and_exports_nothing(
    settings: Callable[..., Settings], notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "has_bf16", lambda: False)
    monkeypatch.setattr(opening, "cached_graph", no_export)
    config = resolve_backbone(settings(precision="auto"), MadeSample(600), notes.append)
    assert (config.precision, notes) == ("f32", [])
    assert not (settings().cache_dir).exists()


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_what_is_asked_for_is_not_measured(
    precision: str, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "has_bf16", lambda: True)
    monkeypatch.setattr(opening, "cached_graph", no_export)
    assert resolve_backbone(settings(precision=precision)).precision == precision


@pytest.fixture
def measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[PrecisionChoice], list[NDArray[np.uint8]]]:
    """On a machine with bf16, has the measurement come out so; returns the images it got."""

    def come_out(choice: PrecisionChoice) -> list[NDArray[np.uint8]]:
        seen: list[NDArray[np.uint8]] = []

        def choose(graph: Path, images: NDArray[np.uint8]) -> PrecisionChoice:
            seen.append(images)
            return choice

        monkeypatch.setattr(opening, "has_bf16", lambda: True)
        monkeypatch.setattr(opening, "cached_graph", lambda *_: tmp_path / "model.xml")
        monkeypatch.setattr(opening, "choose_precision", choose)
        return seen

    return come_out


@pytest.mark.parametrize(
    ("choice", "warned"),
    [
        (PrecisionChoice("bf16", 10, 20, 0.999), False),
        (PrecisionChoice("f32", 10, 10, 0.999), False),
        (PrecisionChoice("f32", 10, 0, 0), False),
        (PrecisionChoice("f32", 10, 20, 0.91), True),
        (PrecisionChoice("f32", 10, 20, 0), True),
    ],
)
def test_auto_is_what_was_measured_with_a_warning_where_bf16_distorts(
    choice: PrecisionChoice,
    warned: bool,
    settings: Callable[..., Settings],
    notes: list[str],
    measured: Callable[[PrecisionChoice], list[NDArray[np.uint8]]],
) -> None:
    measured(choice)
    config = resolve_backbone(settings(precision="auto"), MadeSample(20), notes.append)
    assert config.precision == choice.precision
    assert [note.startswith("warning: bf16") for note in notes] == [warned]
    assert "f32" in notes[0]
    assert f"{choice.cosine:.4f}" in notes[0] or "failed" in notes[0]


@pytest.mark.parametrize("sample", [None, MadeSample(3), MadeSample(20, unreadable=15)])
def test_bf16_is_judged_by_artificial_images_if_there_are_too_few(
    sample: MadeSample | None,
    settings: Callable[..., Settings],
    measured: Callable[[PrecisionChoice], list[NDArray[np.uint8]]],
) -> None:
    seen = measured(PrecisionChoice("bf16", 10, 20, 0.999))
    resolve_backbone(settings(precision="auto"), sample)
    (images,) = seen
    assert (images.shape, images.dtype) == ((16, 32, 32, 3), np.uint8)
    assert images.std() > 10


def test_bf16_is_judged_by_the_librarys_images(
    settings: Callable[..., Settings],
    measured: Callable[[PrecisionChoice], list[NDArray[np.uint8]]],
) -> None:
    seen = measured(PrecisionChoice("bf16", 10, 20, 0.999))
    resolve_backbone(settings(precision="auto"), MadeSample(100, unreadable=4))
    assert seen[0].shape == (12, 32, 32, 3)


# What can't be had


def test_bf16_is_refused_where_the_processor_has_none(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "has_bf16", lambda: False)
    with pytest.raises(BackboneError, match=r"no bf16 instructions.*--precision f32"):
        resolve_backbone(settings(precision="bf16"))


def test_f16_is_for_a_gpu(settings: Callable[..., Settings]) -> None:
    with pytest.raises(BackboneError, match="f16 is for --device gpu"):
        resolve_backbone(settings(precision="f16"))
    for precision, expected in (("f16", "f16"), ("auto", "f16"), ("f32", "f32"), ("bf16", "bf16")):
        config = resolve_backbone(settings(precision=precision, device="gpu"))
        assert config.precision == expected
    with pytest.raises(BackboneError, match="leave --device gpu out"):
        resolve_backbone(settings(precision="int8", device="gpu"), MadeSample(600))


def test_f16_vectors_are_searched_in_f32_without_a_gpu(lite0: Runtime, cache_dir: Path) -> None:
    asked = {"model_architecture": "efficientnet-lite0", "precision": "f16", "device": "gpu"}
    config = resolve_backbone(load_settings(asked))
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    found = open_backbone(config, cache_dir)
    np.testing.assert_array_equal(found.embed(image), lite0.embed(image))  # type: ignore[attr-defined]


# int8


def test_int8_needs_a_library(settings: Callable[..., Settings]) -> None:
    with pytest.raises(BackboneError, match="tagkin prepare"):
        resolve_backbone(settings(precision="int8"))


@pytest.mark.parametrize("count", [0, 1, 39])
def test_int8_needs_some_images(
    count: int, settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    with pytest.raises(BackboneError, match=rf"{count} are too few.*--precision f32"):
        resolve_backbone(settings(precision="int8"), MadeSample(count))
    assert quantizer.calls == []


def test_int8_needs_images_that_can_be_read(
    settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    for sample in (MadeSample(556, unreadable=530), MadeSample(556, unreadable=556)):
        with pytest.raises(BackboneError, match=r"can be read.*--precision f32"):
            resolve_backbone(settings(precision="int8"), sample)
    assert quantizer.calls == []
    assert not [entry for entry in list_cache(settings().cache_dir) if "int8" in entry.key]


def test_int8_is_calibrated_with_some_and_judged_by_other_images(
    settings: Callable[..., Settings], quantizer: Quantizer, notes: list[str]
) -> None:
    quantizer.left_out = ("a", "b")
    config = resolve_backbone(settings(precision="int8"), MadeSample(900), notes.append)
    assert config.precision == "int8"
    assert quantizer.calls == [(300, 256, 0.85)]
    assert "done once" in notes[0]
    assert "mean cosine 0.9700, 90.0% of the 10 nearest neighbours" in notes[1]
    assert "2 sensitive layers stay in f32" in notes[1]
    assert len(notes) == 2


def test_a_second_time_int8_makes_nothing(
    settings: Callable[..., Settings], quantizer: Quantizer, notes: list[str]
) -> None:
    first = resolve_backbone(settings(precision="int8"), MadeSample(600))
    second = resolve_backbone(settings(precision="int8"), MadeSample(700), notes.append)
    assert second == first
    assert len(quantizer.calls) == 1
    assert len(notes) == 1
    assert "90.0%" in notes[0]
    image = np.full((1, 32, 32, 3), 9, np.uint8)
    assert open_backbone(first, settings().cache_dir).embed(image).shape == (1, 1280)  # type: ignore[attr-defined]


def test_int8_that_changes_too_much_is_refused_unless_forced(
    settings: Callable[..., Settings], quantizer: Quantizer, notes: list[str]
) -> None:
    quantizer.overlap = 0.6
    sample = MadeSample(100)
    for _ in range(2):
        with pytest.raises(BackboneError, match=r"60\.0%.*85% are asked for.*--force"):
            resolve_backbone(settings(precision="int8"), sample)
    forced = settings(precision="int8", int8_min_overlap=0.0)
    config = resolve_backbone(forced, sample, notes.append)
    assert config.precision == "int8"
    assert any("60.0%" in note for note in notes)
    assert len(quantizer.calls) == 1
    assert quantizer.calls[0][2] == 0.85
    looser = settings(precision="int8", int8_min_overlap=0.55)
    assert resolve_backbone(looser, sample) == config


def test_forced_at_once_int8_is_still_made_as_good_as_it_gets(
    settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    forced = settings(precision="int8", int8_min_overlap=0.0)
    resolve_backbone(forced, MadeSample(100))
    assert quantizer.calls[0][2] == 0.85


def test_int8_that_fails_leaves_no_entry(
    settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    quantizer.error = BackboneError("NNCF is not installed")
    with pytest.raises(BackboneError, match="NNCF is not installed"):
        resolve_backbone(settings(precision="int8"), MadeSample(100))
    assert not [entry for entry in list_cache(settings().cache_dir) if "int8" in entry.key]


@pytest.mark.parametrize("damage", [None, b"{", b"{}", b'{"mean_cosine": 1, "left_out": 5}'])
def test_a_damaged_report_says_what_to_clear(
    damage: bytes | None, settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    config = resolve_backbone(settings(precision="int8"), MadeSample(100))
    report = settings().cache_dir / "graphs" / config.graph_key / "int8.json"
    assert json.loads(report.read_text("utf-8"))["neighbour_overlap"] == 0.9
    report.unlink()
    if damage is not None:
        report.write_bytes(damage)
    with pytest.raises(BackboneError, match=f"tagkin cache --clear {config.graph_key}"):
        resolve_backbone(settings(precision="int8"), MadeSample(100))


def test_other_images_or_views_make_another_int8_graph(
    settings: Callable[..., Settings], quantizer: Quantizer
) -> None:
    configs = [
        resolve_backbone(settings(precision="int8"), MadeSample(556)),
        resolve_backbone(settings(precision="int8"), MadeSample(200)),
        resolve_backbone(settings(precision="int8", views="squeeze,crop"), MadeSample(556)),
    ]
    assert len({config.graph_key for config in configs}) == 3
    assert len({config.fingerprint for config in configs}) == 3
    assert len(quantizer.calls) == 3


def test_a_processor_with_vnni_has_an_int8_graph_of_its_own(
    settings: Callable[..., Settings], quantizer: Quantizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for vnni in (True, False, True):
        monkeypatch.setattr(int8, "has_vnni", lambda vnni=vnni: vnni)
        keys.add(resolve_backbone(settings(precision="int8"), MadeSample(100)).graph_key)
    assert len(keys) == len(quantizer.calls) == 2


def test_a_growing_library_keeps_its_int8_graph(
    settings: Callable[..., Settings],
    quantizer: Quantizer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def pixels(self: Any, ids: Sequence[str], config: BackboneConfig) -> NDArray[np.uint8]:
        return np.zeros((len(ids), 32, 32, 3), np.uint8)

    monkeypatch.setattr(LibrarySample, "pixels", pixels)
    library = Library.create_or_open(tmp_path / "library")
    made = []
    rng = np.random.default_rng(0)
    for count in (600, 100):
        ids = [rng.bytes(16).hex() for _ in range(count)]
        library.upsert_images(
            [
                ImageRow(image, (ImageFile(Path(image), (), 1, 1),), 1, 1, "png", 1, 0)
                for image in ids
            ]
        )
        library = Library.open(library.path)
        asked = settings(precision="int8")
        made.append(resolve_backbone(asked, LibrarySample(library, asked)))
    assert len(library.image_ids()) == 700
    assert made[0] == made[1]
    assert quantizer.calls == [(300, 256, 0.85)]


# Opening


@pytest.mark.usefixtures("filled")
def test_the_batch_is_chosen_for_the_number_of_images(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def choose(graph: Path, precision: str, images: int) -> int:
        asked.append(images)
        return 4

    monkeypatch.setattr(opening, "choose_batch", choose)
    config = resolve_backbone(settings(precision="f32"))
    by_four = open_backbone(config, settings().cache_dir, images=5000)
    open_backbone(config, settings().cache_dir)
    assert asked == [5000, 1]
    image = np.full((3, 32, 32, 3), 9, np.uint8)
    assert by_four.embed(image).shape == (3, 1280)  # type: ignore[attr-defined]
