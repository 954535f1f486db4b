"""Embedding with Ray: the vectors of the plain engine, and clear words where it can't be."""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, RunTagkin, run_python
from helpers_ray import WORKERS, made_library, stored

from tagkin.distributed.engine import RayEngine
from tagkin.distributed.session import ray_session
from tagkin.distributed.worker import Worker, sees_any
from tagkin.embeddings import embed
from tagkin.errors import BackboneError, EngineError
from tagkin.settings import Settings

RAY = ("embed", "--engine", "ray", "--workers", WORKERS)


def test_the_vectors_are_those_of_the_plain_engine(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    config = demo_library.config
    library = made_library(demo_images[:60], demo_library.settings, tmp_path)
    rows = library.images()
    paths = [path for row in rows for path in row.paths]
    assert sum("00000.tar!" in str(path) for path in paths) == 5
    damaged = next(
        row.paths[0] for row in rows if len(row.paths) == 1 and "!" not in str(row.paths)
    )
    damaged.write_bytes(b"no image")
    given = ("--model", "efficientnet-lite0", "--precision", "f32", "--json")
    done = run_tagkin(*RAY, *given, "--library", library.path, env={"HOME": str(tmp_path / "home")})
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 2, done.stderr  # the problem below, and nothing of Ray's

    report = json.loads(done.stdout)
    assert (report["added"], report["fingerprint"]) == (len(rows) - 1, config.fingerprint)
    assert [problem["path"] for problem in report["problems"]] == [str(damaged)]
    assert library.state.active_backbone is None  # as this object knows it
    found = stored(library, config.fingerprint)
    assert found == sorted(set(found))
    assert len(found) == len(rows) - 1
    ids, vectors = library.vectors(config.fingerprint)
    all_ids, expected = demo_library.library.vectors(config.fingerprint)
    places = [all_ids.index(image) for image in ids]
    np.testing.assert_allclose(
        vectors.astype(np.float32), expected[places].astype(np.float32), rtol=2e-3, atol=1e-3
    )
    assert not (tmp_path / "home").exists()  # where Ray would keep a token

    again = run_tagkin(*RAY, *given, "--library", library.path)
    report = json.loads(again.stdout)
    assert (report["added"], report["already"]) == (0, len(rows) - 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workers", "2"), "--engine ray"),
        (("--address", "auto"), "--engine ray"),
        (("--engine", "spark"), "engine = 'spark'"),
        (("--engine", "ray", "--workers", "9999"), "9999 workers need a core each"),
        (("--engine", "ray", "--address", "127.0.0.1:1"), "Ray cluster at 127.0.0.1:1: "),
    ],
)
def test_what_cannot_be_is_said(
    arguments: tuple[str, ...], said: str, demo_copy: Demo, run_tagkin: RunTagkin
) -> None:
    if "ray" in arguments:
        pytest.importorskip("ray")
    (demo_copy.path / f"vectors-{demo_copy.config.fingerprint}.lance").rename(
        demo_copy.path.parent / "away"
    )
    done = run_tagkin("embed", *arguments, "--library", demo_copy.path)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install 'tagkin\[ray\]'"), ray_session(None):
        pass


def test_ray_is_not_started_for_nothing(
    demo_library: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    report = embed(
        demo_library.library, demo_library.config, demo_library.settings, engine=RayEngine()
    )
    assert (report.added, report.already) == (0, report.images)


_TWICE = """
from tagkin.distributed.session import ray_session

def seven():
    return 7

for _ in range(2):
    with ray_session(None) as ray:
        print(ray.get(ray.remote(seven).remote()))
import ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
print(ray.get(ray.remote(seven).remote()) + 1)
"""


def test_one_process_may_have_several_rays_each_with_its_own_token(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # The last is the program's own, which keeps its token in the home folder.
    done = run_python(_TWICE, {"HOME": str(tmp_path)})
    assert done.stdout.split() == ["7", "7", "8"], done.stderr


# What a worker does, in this process


def worker(demo: Demo, settings: Settings | None = None, version: str | None = None) -> Worker:
    import tagkin

    graph = demo.settings.cache_dir / "graphs" / demo.config.graph_key
    return Worker(
        demo.config,
        settings or demo.settings,
        batch=1,
        threads=1,
        version=version or tagkin.__version__,
        files=lambda: {name: (graph / name).read_bytes() for name in ("model.xml", "model.bin")},
    )


def test_a_machine_without_the_graph_gets_it(demo_library: Demo, tmp_path: Path) -> None:
    other = demo_library.settings.model_copy(update={"cache_dir": tmp_path / "cache"})
    rows = tuple(demo_library.library.images()[:3])
    made = worker(demo_library, other).extract(rows)
    assert sorted(made.ids) == sorted(row.id for row in rows)
    assert (np.shape(made.values), np.asarray(made.values).dtype) == ((3, 1280), np.float32)
    assert (made.problems, made.machine, made.sees_none) == ([], socket.gethostname(), False)
    assert list((tmp_path / "cache" / "graphs").glob("*/model.xml"))


def test_a_machine_with_another_version_is_named(demo_library: Demo) -> None:
    with pytest.raises(BackboneError, match=f"{socket.gethostname()} has Tagkin .* 0.0.1"):
        worker(demo_library, version="0.0.1").open()


def test_files_that_are_not_there_are_told_from_damaged_ones(
    demo_library: Demo, demo_images: list[Path], tmp_path: Path
) -> None:
    library = made_library(demo_images[:8], demo_library.settings, tmp_path)
    rows = tuple(library.images())
    for path in (tmp_path / "images").glob("*.webp"):
        path.write_bytes(b"damaged")
    outside = tuple(row for row in rows if row.paths[0].parent.name == "images")
    made = worker(demo_library).extract(outside)
    assert (made.ids, len(made.problems), made.sees_none) == ([], 3, False)
    for name in ("images", "shards"):
        (tmp_path / name).rename(tmp_path / f"{name} elsewhere")
    assert not sees_any(path for row in rows for path in row.paths)
    made = worker(demo_library).extract(rows)
    assert (made.ids, len(made.problems), made.sees_none) == ([], 8, True)
    (tmp_path / "shards elsewhere").rename(tmp_path / "shards")
    assert sees_any(path for row in rows for path in row.paths)
