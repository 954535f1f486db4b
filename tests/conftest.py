"""What the tests share: one clean environment, one cache, and the demo collection, trained once.

Nothing here reads or writes the home folder of whoever runs the tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from object_store import Bucket, serve_bucket

import tagkin
from tagkin.backbones import BackboneConfig, Runtime, open_backbone, resolve_backbone
from tagkin.demo import demo_collection
from tagkin.embeddings import embed
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings, load_settings
from tagkin.sources import open_source
from tagkin.training.train import TrainReport, train
from tagkin.variants import thesauri, word_lists

RunTagkin = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Demo:
    """The demo collection in a library: prepared, embedded and trained."""

    path: Path
    settings: Settings
    config: BackboneConfig
    report: TrainReport | None = None

    @property
    def library(self) -> Library:
        """The library, opened anew."""
        return Library.open(self.path)

    @property
    def tagger(self) -> Path:
        """The folder of its tagger."""
        return self.library.taggers_path / "efficientnet-lite0-001"


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hides the settings and the home folder of the user; one cache for the whole session."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("TAGKIN_", "KERAS_", "XDG_")):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TAGKIN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # Dictionaries that happen to be installed must not decide what a test sees.
        nowhere = tmp_path_factory.mktemp("dictionaries")
        for name in ("WORDNET", "MYTHES", "TRANSLATIONS"):
            patch.setattr(thesauri, name, nowhere / "none")
        patch.setattr(word_lists, "SYSTEM_DICT", nowhere)
        yield


@pytest.fixture(scope="session")
def cache_dir(clean_environment: None) -> Path:
    """The session's cache of exported backbones."""
    return Path(os.environ["TAGKIN_CACHE_DIR"])


@pytest.fixture(scope="session")
def lite0_settings(clean_environment: None) -> Settings:
    """Settings for the backbone whose weights are installed."""
    return load_settings({"model_architecture": "efficientnet-lite0", "precision": "f32"})


@pytest.fixture(scope="session")
def lite0_config(lite0_settings: Settings) -> BackboneConfig:
    return resolve_backbone(lite0_settings)


@pytest.fixture(scope="session")
def lite0(lite0_config: BackboneConfig, cache_dir: Path) -> Runtime:
    """The real EfficientNet-Lite0, exported once."""
    return open_backbone(lite0_config, cache_dir)


@pytest.fixture(scope="session")
def demo_images() -> list[Path]:
    """The drawings of the demo collection."""
    return sorted((demo_collection().parent / "images").iterdir())


@pytest.fixture(scope="session")
def demo_library(
    lite0_config: BackboneConfig,
    lite0: Runtime,
    lite0_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Demo:
    """The demo collection's library, for tests that only read it."""
    path = tmp_path_factory.mktemp("demo") / "library"
    settings = lite0_settings.model_copy(update={"library": path})
    library = Library.create_or_open(path)
    prepare(library, open_source(demo_collection()), settings)
    embed(library, lite0_config, settings, backbone=lite0)
    graph = settings.cache_dir / "graphs" / lite0_config.graph_key / "model.xml"
    report = train(library, lite0_config, graph, settings)
    return Demo(path, settings, lite0_config, report)


@pytest.fixture
def demo_copy(demo_library: Demo, tmp_path: Path) -> Demo:
    """A copy of the demo collection's library, for a test that writes to it."""
    path = tmp_path / "library"
    shutil.copytree(demo_library.path, path)
    settings = demo_library.settings.model_copy(update={"library": path})
    return Demo(path, settings, demo_library.config, demo_library.report)


@pytest.fixture(scope="session")
def object_store(clean_environment: None) -> Iterator[Bucket]:
    """An empty bucket on a real S3 server of this session, to which the environment leads."""
    yield from serve_bucket()


@pytest.fixture
def run_tagkin(tmp_path: Path) -> RunTagkin:
    """Runs the command line in a process of its own, in an empty folder."""

    def run(
        *args: str | Path, env: dict[str, str] | None = None, timeout: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        folder = tmp_path / "cwd"
        folder.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "tagkin", *map(str, args)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            cwd=folder,
            env=subprocess_environment(env),
            check=False,
        )

    return run


def run_python(code: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs code in a Python of its own, where nothing has been imported yet."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=subprocess_environment(env),
        check=False,
    )


def subprocess_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This environment, in which the Tagkin under test is found from any folder."""
    more = more or {}
    source = str(Path(tagkin.__file__).parents[1])
    paths = [more.get("PYTHONPATH"), source, os.environ.get("PYTHONPATH")]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
