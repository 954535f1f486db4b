"""A tagger: saved, copied, damaged, and asked for tags."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Demo, subprocess_environment

from tagkin.errors import TaggerError
from tagkin.head import Head, margins
from tagkin.settings import Settings
from tagkin.tagger import Tagger, find_tagger, tagger_names

FILES = {"tagger.json", "head.npz", "backbone.xml", "backbone.bin"}


@pytest.fixture(scope="module")
def tagger(demo_library: Demo) -> Tagger:
    return Tagger.load(demo_library.tagger)


@pytest.fixture
def folder(demo_library: Demo, tmp_path: Path) -> Path:
    """A copy of a saved tagger that may be damaged."""
    path = tmp_path / "copied"
    shutil.copytree(demo_library.tagger, path)
    return path


@pytest.fixture
def some(demo_images: list[Path]) -> list[Path]:
    return demo_images[:100:10]


def test_saved_and_loaded_it_says_the_same(
    tagger: Tagger, some: list[Path], lite0_settings: Settings, tmp_path: Path
) -> None:
    loaded = Tagger.load(tagger.save_in(tmp_path))
    assert loaded.tags == tagger.tags
    assert loaded.config == tagger.config
    assert loaded.scores == tagger.scores
    np.testing.assert_array_equal(loaded.thresholds, tagger.thresholds)
    before, after = (list(t.predict(some, lite0_settings, top=5)) for t in (tagger, loaded))
    assert [[tag.tag for tag in p.tags] for p in before] == [
        [tag.tag for tag in p.tags] for p in after
    ]
    np.testing.assert_allclose(
        *([tag.score for p in result for tag in p.tags] for result in (before, after)), atol=1e-3
    )


def test_predicts_what_is_in_the_pictures(
    tagger: Tagger, demo_library: Demo, lite0_settings: Settings
) -> None:
    rows = [row for row in demo_library.library.images() if row.files][:150]
    hits = 0
    for row, predicted in zip(
        rows, tagger.predict((r.paths[0] for r in rows), lite0_settings, top=1), strict=True
    ):
        hits += predicted.tags[0].tag in {tag.lower() for tag in row.tags}
    assert hits > len(rows) / 2


def test_holds_plain_data_only(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES | {
        "neighbours.npz",
        "report.html",
        "report.json",
    }
    with np.load(folder / "head.npz", allow_pickle=False) as arrays:
        assert {name: array.dtype.kind for name, array in arrays.items()} == {
            "kernel": "f",
            "bias": "f",
            "thresholds": "f",
        }
    content = json.loads((folder / "tagger.json").read_text("utf-8"))
    assert content["format_version"] == 2
    # No path of the machine that it was made on.
    assert str(Path.home()) not in (folder / "tagger.json").read_text("utf-8")


def test_the_folder_alone_works_elsewhere(folder: Path, some: list[Path], tmp_path: Path) -> None:
    image = tmp_path / "moved.webp"
    shutil.copy(some[0], image)
    code = (
        "import sys; from pathlib import Path\n"
        "from tagkin.settings import Settings; from tagkin.tagger import Tagger\n"
        "tagger = Tagger.load(Path(sys.argv[1]))\n"
        "print([t.tag for p in tagger.predict([Path(sys.argv[2])], Settings(), top=3) "
        "for t in p.tags])\n"
        "assert 'tensorflow' not in sys.modules and 'lance' not in sys.modules\n"
    )
    environment = subprocess_environment(
        {"TAGKIN_CACHE_DIR": str(tmp_path / "no cache"), "HOME": str(tmp_path / "no home")}
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(image)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("'") == 6
    assert not (tmp_path / "no cache").exists()


def write_json(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "tagger.json"
        content = {**json.loads(path.read_text("utf-8")), **changes}
        kept = {name: value for name, value in content.items() if value is not None}
        path.write_text(json.dumps(kept), "utf-8")

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def flip(name: str, place: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 0xFF
        (folder / name).write_bytes(content)

    return change


def pickled_head(folder: Path) -> None:
    objects = np.array([{"a": 1}], object)
    np.savez(folder / "head.npz", kernel=objects, bias=objects, thresholds=objects)


def short_bias(folder: Path) -> None:
    with np.load(folder / "head.npz") as arrays:
        kept = dict(arrays)
    np.savez(folder / "head.npz", **{**kept, "bias": kept["bias"][:1]})


@pytest.mark.parametrize(
    "damage",
    [
        *(pytest.param(remove(name), id=f"no {name}") for name in sorted(FILES)),
        *(pytest.param(write(name, b""), id=f"empty {name}") for name in sorted(FILES)),
        pytest.param(write("tagger.json", b"[]"), id="a list"),
        pytest.param(write("tagger.json", b"\xff"), id="not UTF-8"),
        pytest.param(write("head.npz", b"PK\x03\x04 not whole"), id="half a zip file"),
        pytest.param(write("backbone.xml", b"<net/>"), id="no graph"),
        pytest.param(flip("head.npz", 5000), id="a byte of the head"),
        pytest.param(pickled_head, id="pickles in the head"),
        pytest.param(short_bias, id="short bias"),
        pytest.param(write_json(tags=["one"]), id="other vocabulary"),
        pytest.param(write_json(tags=None), id="no vocabulary"),
        pytest.param(write_json(backbone={}), id="no backbone"),
        pytest.param(write_json(backbone=None), id="backbone gone"),
        pytest.param(write_json(format_version=None), id="no version"),
    ],
)
def test_a_damaged_tagger_is_a_clear_error(
    damage: Callable[[Path], None], folder: Path, some: list[Path], lite0_settings: Settings
) -> None:
    damage(folder)
    with pytest.raises(TaggerError, match="tagkin train") as caught:
        list(Tagger.load(folder).predict(some[:1], lite0_settings))
    assert str(folder) in str(caught.value)


def test_a_newer_format_asks_for_a_newer_tagkin(folder: Path) -> None:
    write_json(format_version=3)(folder)
    with pytest.raises(TaggerError, match="newer Tagkin"):
        Tagger.load(folder)


def test_predictions_keep_their_order_among_bad_files(
    tagger: Tagger, some: list[Path], lite0_settings: Settings, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_text("not an image")
    absent = tmp_path / "absent.png"
    paths = [text, some[0], absent, text, some[1], some[2], tmp_path, some[0], text, absent]
    predictions = list(tagger.predict(iter(paths), lite0_settings, top=2))
    assert [p.path for p in predictions] == paths
    good = set(some)
    for prediction in predictions:
        assert (prediction.error is None) == (prediction.path in good)
        assert len(prediction.tags) == (2 if prediction.path in good else 0)
    assert predictions[1].tags == predictions[7].tags
    only_bad = list(tagger.predict([text, absent], lite0_settings))
    assert [p.path for p in only_bad] == [text, absent]
    assert list(tagger.predict([], lite0_settings)) == []


def test_top_gives_exactly_that_many_by_rank(tagger: Tagger) -> None:
    vector = np.random.default_rng(0).random(1280).astype(np.float32)
    for count in (1, 7, len(tagger.tags)):
        tags = tagger.tags_for(vector, top=count)
        assert len(tags) == count == len({tag.tag for tag in tags})
        above = [float(margins(np.array(t.score), np.array(t.threshold))) for t in tags]
        assert all(a >= b - 1e-4 for a, b in pairwise(above))
        scores = [t.score for t in tagger.tags_for(vector, top=count, rank="probability")]
        assert scores == sorted(scores, reverse=True)
    assert len(tagger.tags_for(vector, top=10**6)) == len(tagger.tags)


def test_without_top_each_tag_is_measured_by_its_own_threshold(tagger: Tagger) -> None:
    head = Head(
        np.zeros((1280, 4), np.float32),
        np.log(np.array([0.9, 0.6, 0.3, 0.5], np.float32) / [0.1, 0.4, 0.7, 0.5]).astype(
            np.float32
        ),
    )
    thresholds = np.array([0.95, 0.5, 0.2, 0.5], np.float32)
    small = replace(
        tagger, head=head, tags=("a", "b", "c", "d"), thresholds=thresholds, neighbours=None
    )
    tags = small.tags_for(np.zeros(1280, np.float32))
    assert [tag.tag for tag in tags] == ["c", "b", "d"]
    assert [tag.threshold for tag in tags] == pytest.approx([0.2, 0.5, 0.5])
    by_probability = small.tags_for(np.zeros(1280, np.float32), rank="probability")
    assert [tag.tag for tag in by_probability] == ["b", "d", "c"]


def test_a_prediction_as_json(tagger: Tagger, some: list[Path], lite0_settings: Settings) -> None:
    missing = Path("absent.png")
    good, bad = tagger.predict([some[0], missing], lite0_settings, top=1)
    content = json.loads(json.dumps(good.to_dict()))
    assert content["path"] == str(some[0])
    assert set(content["tags"][0]) == {"tag", "score", "threshold"}
    assert set(bad.to_dict()) == {"path", "error"}


def test_probabilities_at_the_extremes() -> None:
    head = Head(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32))
    with np.errstate(all="raise"):
        scores = head.scores(np.array([[1.0]], np.float16))
    np.testing.assert_allclose(scores, [[1, 0]], atol=1e-6)


def make_names(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "tagger.json").write_text("{}")


def test_finds_the_newest_by_number(tmp_path: Path) -> None:
    make_names(tmp_path, "resnet50-002", "resnet50-010", "efficientnet-lite0-1001", ".saving-1")
    (tmp_path / "resnet50-999").mkdir()  # holds nothing
    assert tagger_names(tmp_path) == ["resnet50-002", "resnet50-010", "efficientnet-lite0-1001"]
    assert find_tagger(tmp_path, None, None).name == "efficientnet-lite0-1001"
    assert find_tagger(tmp_path, None, "resnet50").name == "resnet50-010"
    assert find_tagger(tmp_path, "resnet50-002", "efficientnet-lite0").name == "resnet50-002"


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("resnet50-003", None), (None, "convnext-large"), ("../resnet50-002", None)],
)
def test_what_is_not_there_lists_what_is(
    name: str | None, architecture: str | None, tmp_path: Path
) -> None:
    make_names(tmp_path, "resnet50-002", "resnet50-010")
    with pytest.raises(TaggerError, match="resnet50-002, resnet50-010"):
        find_tagger(tmp_path, name, architecture)


@pytest.mark.parametrize("exists", [True, False])
def test_no_tagger_at_all_says_how_to_make_one(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "taggers"
    if exists:
        folder.mkdir()
    with pytest.raises(TaggerError, match="tagkin train"):
        find_tagger(folder, None, None)


def test_numbers_go_on_after_the_highest(tagger: Tagger, tmp_path: Path) -> None:
    make_names(tmp_path, "resnet50-007")
    assert tagger.save_in(tmp_path).name == "efficientnet-lite0-008"
    shutil.rmtree(tmp_path / "resnet50-007")
    assert tagger.save_in(tmp_path).name == "efficientnet-lite0-009"


def test_a_taken_name_is_stepped_over(tagger: Tagger, tmp_path: Path) -> None:
    # A folder without tagger.json has no number, but its name is taken.
    (tmp_path / "efficientnet-lite0-001").mkdir()
    (tmp_path / "efficientnet-lite0-001" / "notes.txt").write_text("mine")
    assert tagger.save_in(tmp_path).name == "efficientnet-lite0-002"
    left = (tmp_path / "efficientnet-lite0-001").iterdir()
    assert [path.name for path in left] == ["notes.txt"]


def test_saving_where_nothing_can_be_written_is_an_error(tagger: Tagger, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TaggerError, match="can't save"):
        tagger.save_in(tmp_path / "file")


def test_a_flipped_byte_in_the_saved_backbone_is_noticed(demo_copy: Demo) -> None:
    weights = demo_copy.tagger / "backbone.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TaggerError, match=r"backbone\.bin is not as it was saved"):
        Tagger.load(demo_copy.tagger)
