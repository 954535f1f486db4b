"""``tagkin embed``: views, precision and device, and what a library keeps of them."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RunTagkin

from tagkin.backbones import BackboneConfig
from tagkin.backbones.runtime import import_openvino
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source

SMALL = ("--model", "efficientnet-lite0", "--image-size", "32")
PLAIN = {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # has no bf16, and so nothing to measure


def prepared(images: list[Path], settings: Settings, folder: Path) -> Path:
    (folder / "images").mkdir()
    for path in images:
        shutil.copy(path, folder / "images")
    library = Library.create_or_open(folder / "library")
    prepare(library, open_source(folder / "images"), settings)
    return library.path


@pytest.fixture
def library(demo_images: list[Path], lite0_settings: Settings, tmp_path: Path) -> Path:
    """The library of eight drawings."""
    return prepared(demo_images[:8], lite0_settings, tmp_path)


Embed = Callable[..., dict[str, Any]]


@pytest.fixture
def embed(run_tagkin: RunTagkin) -> Embed:
    """Embeds, and returns what the command says in JSON, with what it notes."""

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> dict[str, Any]:
        done = run_tagkin("embed", *arguments, "--json", env={**PLAIN, **(env or {})})
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "notes": done.stderr}

    return run


def test_views_are_kept_for_later_commands(
    library: Path, embed: Embed, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    where = ("--library", library)
    first = embed(*SMALL, *where, "--views", "squeeze,crop")
    assert (first["added"], first["already"]) == (8, 0)
    assert "-32-squeeze+crop-f32-" in first["fingerprint"]
    again = embed(*where)
    assert (again["added"], again["fingerprint"]) == (0, first["fingerprint"])
    image = next((tmp_path / "images").iterdir())
    done = run_tagkin("similar", image, *where, "--json", env=PLAIN)
    assert len(json.loads(done.stdout)["images"]) == 7, done.stderr

    changed = embed(*where, "--fit", "crop")
    assert "-32-crop-f32-" in changed["fingerprint"]
    flipped = embed(*where, "--views", "crop,flip")
    assert "-32-crop+crop-flip-f32-" in flipped["fingerprint"]


def test_fit_as_an_option_outdoes_the_views_of_the_settings(library: Path, embed: Embed) -> None:
    report = embed(
        *SMALL, "--library", library, "--fit", "crop", env={"TAGKIN_VIEWS": "squeeze,flip"}
    )
    assert "-32-crop-f32-" in report["fingerprint"]


def test_a_processor_without_bf16_needs_no_measurement(library: Path, embed: Embed) -> None:
    assert "-f32-" in embed(*SMALL, "--library", library)["fingerprint"]


def test_with_a_precision_alone_the_backbone_stays(
    library: Path, lite0_config: BackboneConfig, embed: Embed
) -> None:
    active = replace(lite0_config, image_size=32, views=("squeeze",), precision="f16")
    Library.open(library).update_state(active_backbone=active.to_dict())
    report = embed("--library", library, "--precision", "f32")
    assert report["fingerprint"] == replace(active, precision="f32").fingerprint
    assert report["added"] == 8


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--fit", "crop", "--views", "squeeze,crop"], "--views takes the place of --fit"),
        (["--views", "squeeze,squeeze"], "'squeeze' is asked for twice"),
        (["--views", "squeeze,zoom"], "views"),
        (["--precision", "f64"], "precision"),
        (["--precision", "bf16"], "no bf16 instructions"),
        (["--precision", "f16"], "--device gpu"),
        (["--precision", "int8"], "8 are too few"),
        (["--precision", "int8", "--device", "gpu"], "leave --device gpu out"),
        (["--device", "tpu"], "device"),
    ],
)
def test_a_mistake_is_one_clear_message(
    arguments: list[str], expected: str, library: Path, run_tagkin: RunTagkin
) -> None:
    done = run_tagkin("embed", *SMALL, *arguments, "--library", library, env=PLAIN)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_vectors_made_on_another_machine_are_not_mixed(
    library: Path, lite0_config: BackboneConfig, run_tagkin: RunTagkin
) -> None:
    active = replace(lite0_config, image_size=32, precision="bf16")
    Library.open(library).update_state(active_backbone=active.to_dict())
    done = run_tagkin("embed", "--library", library, env=PLAIN)
    assert done.returncode == 2
    assert "a processor with bf16" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_gpu_a_gpu_is_one_clear_message(library: Path, run_tagkin: RunTagkin) -> None:
    if any(device.startswith("GPU") for device in import_openvino().Core().available_devices):
        pytest.skip("this machine has a GPU")
    done = run_tagkin(
        *("embed", *SMALL, "--device", "gpu", "--library", library),
        env={"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(told) == 1
    assert "found no GPU" in told[0]
    assert "--device cpu" in told[0]
    assert "Traceback" not in done.stderr
    assert Library.open(library).state.active_backbone is None


@pytest.mark.slow
def test_int8_from_beginning_to_end(
    demo_images: list[Path],
    lite0_settings: Settings,
    embed: Embed,
    run_tagkin: RunTagkin,
    tmp_path: Path,
) -> None:
    if not importlib.util.find_spec("nncf"):
        pytest.skip("NNCF is not installed")
    library = prepared(demo_images[:60], lite0_settings, tmp_path)
    where = ("--library", library)
    easy = {"TAGKIN_INT8_MIN_OVERLAP": "0.1"}  # images of 32 pixels don't keep more for sure
    first = embed(*SMALL, *where, "--precision", "int8", env=easy)
    assert first["added"] == first["images"] >= 40
    assert "-int8-" in first["fingerprint"]
    assert "done once" in first["notes"]
    assert "of the 10 nearest neighbours are the same" in first["notes"]

    strict = {"TAGKIN_INT8_MIN_OVERLAP": "1"}
    done = run_tagkin("embed", *where, "--precision", "int8", env={**PLAIN, **strict})
    assert done.returncode == 2
    assert "100% are asked for" in done.stderr
    again = embed(*where, "--precision", "int8", "--force", env=strict)
    assert (again["added"], again["fingerprint"]) == (0, first["fingerprint"])
    assert "done once" not in again["notes"]
    found = json.loads(run_tagkin("similar", demo_images[0], *where, "--json").stdout)
    assert len(found["images"]) == 10

    entries = json.loads(run_tagkin("cache", "--json").stdout)["entries"]
    (int8,) = [entry["key"] for entry in entries if "-32-int8-" in entry["key"]]
    assert run_tagkin("cache", "--clear", int8).returncode == 0
    done = run_tagkin("similar", demo_images[0], *where)
    assert done.returncode == 2
    assert "tagkin embed --precision int8" in done.stderr
    assert "Traceback" not in done.stderr
    mended = embed(*where, "--precision", "int8", env=easy)
    assert mended["fingerprint"] == first["fingerprint"]
    assert run_tagkin("similar", demo_images[0], *where).returncode == 0
