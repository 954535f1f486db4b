"""Predictions and thumbnails made with Ray: those of the plain engine."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo, RunTagkin
from helpers_ray import WORKERS

import tagkin
from tagkin.distributed.predicting import PredictWorker, _in_order, _Place
from tagkin.distributed.worker import Extracted
from tagkin.tagger import Prediction, Tagger
from tagkin.thumbnails import ThumbnailCache

RAY = ("--engine", "ray", "--workers", WORKERS)


def test_the_tags_are_those_of_the_plain_engine(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder = tmp_path / "new"
    folder.mkdir()
    for number, path in enumerate(demo_images[:40]):
        shutil.copy(path, folder / f"{number:02d}{path.suffix}")
    (folder / "07b.png").write_bytes(b"no image")
    found: list[list[dict[str, Any]]] = []
    for more in ((), RAY):
        done = run_tagkin("predict", folder, "--tagger", demo_library.tagger, "--json", *more)
        assert done.returncode == 1, done.stderr  # the damaged one
        found.append([json.loads(line) for line in done.stdout.splitlines()])
    plain, on_ray = found
    assert [one["path"] for one in plain] == [one["path"] for one in on_ray]
    assert [one.get("error") for one in plain] == [one.get("error") for one in on_ray]
    assert sum("error" in one for one in plain) == 1
    for one, other in zip(plain, on_ray, strict=True):
        scores = [{tag["tag"]: tag["score"] for tag in it.get("tags", ())} for it in (one, other)]
        assert scores[1] == pytest.approx(scores[0], abs=1e-5)
    done = run_tagkin("predict", folder, "--tagger", demo_library.tagger, "--workers", "2")
    assert (done.returncode, "--engine ray" in done.stderr) == (2, True)


def test_thumbnails_are_made_where_serve_looks_for_them(
    demo_library: Demo, run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    images = [row.id for row in demo_library.library.images()]
    env = {"TAGKIN_CACHE_DIR": str(tmp_path / "cache")}
    command = ("thumbnails", "--library", demo_library.path, "--json", "--height", "96")
    done = run_tagkin(*command, *RAY, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == len(images)
    on_ray, plain = (ThumbnailCache(tmp_path / name) for name in ("cache", "other"))
    kept = on_ray.load(images[0], 96)
    assert kept is not None

    done = run_tagkin(*command, env=env)
    assert (json.loads(done.stdout)["added"], json.loads(done.stdout)["already"]) == (
        0,
        len(images),
    )
    done = run_tagkin(*command, env={"TAGKIN_CACHE_DIR": str(tmp_path / "other")})
    assert json.loads(done.stdout)["added"] == len(images)
    assert plain.load(images[0], 96) == kept
    assert run_tagkin("thumbnails", "--height", "100").returncode == 2


def test_a_machine_without_the_tagger_gets_its_graph(
    demo_library: Demo, demo_images: list[Path], tmp_path: Path
) -> None:
    graph = {one.name: one.read_bytes() for one in demo_library.tagger.glob("backbone.*")}
    moved = shutil.copytree(demo_library.tagger, tmp_path / "tagger")
    tagger = Tagger.load(moved)
    shutil.rmtree(moved)
    worker = PredictWorker(
        tagger, demo_library.settings, 3, threads=1, version=tagkin.__version__, files=lambda: graph
    )
    worker.open()
    nowhere = tmp_path / "none.png"
    made = worker.extract((_Place(0, demo_images[0]), _Place(1, nowhere)))
    assert [len(one.tags) for one in made.values] == [3, 0]
    assert made.values[1].error
    assert (made.sees_none, worker.extract((_Place(1, nowhere),)).sees_none) == (False, True)


def test_predictions_come_in_order_with_those_given_up() -> None:
    def places(*numbers: int) -> tuple[_Place, ...]:
        return tuple(_Place(number, Path(str(number))) for number in numbers)

    def made() -> Any:
        for some in (places(2, 3), places(0), places(5)):
            values = [Prediction(place.path) for place in some]
            yield some, Extracted([], values, [], "here", False)

    ready = {1: Prediction(Path("1"), error="died"), 4: Prediction(Path("4"), error="died")}
    found = list(_in_order(made(), ready))
    assert [str(one.path) for one in found] == ["0", "1", "2", "3", "4", "5"]
