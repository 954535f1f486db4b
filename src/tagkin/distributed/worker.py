"""What runs in each of Ray's workers: images to vectors, with a graph of its own."""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tagkin
from tagkin import archives
from tagkin.backbones import BackboneConfig, Runtime
from tagkin.backbones.cache import cached_entry
from tagkin.embeddings import check_precision, extract
from tagkin.errors import BackboneError
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings

#: Files that a worker may lack, by name.
Files = dict[str, bytes]


@dataclass(frozen=True)
class Extracted:
    """What a worker made of some images.

    Attributes:
        ids: Of the images that could be read.
        values: What was made of each: of vectors, float32 of shape (images, dimension).
        problems: Of the others.
        machine: Name of the machine.
        sees_none: Whether none of the files is there for this worker.
    """

    ids: list[str]
    values: Sequence[Any] | NDArray[np.float32]
    problems: list[Problem]
    machine: str
    sees_none: bool


class Worker:
    """Embeds the images that it is given; all calls but the first may run at the same time."""

    def __init__(
        self,
        config: BackboneConfig,
        settings: Settings,
        *,
        batch: int,
        threads: int,
        version: str,
        files: Callable[[], Files],
    ) -> None:
        """Notes what to do; `open` does it, so that its errors reach who started the worker.

        Args:
            config: The backbone.
            settings: Limits of images, time for a file, and the cache folder on this machine.
            batch: Images a request.
            threads: Share of this machine's cores.
            version: That of Tagkin where the worker was started.
            files: Gives the exported graph if it isn't in the cache of this machine.
        """
        self._config = config
        threads_to_decode = settings.decode_threads or threads
        self._settings = settings.model_copy(update={"decode_threads": threads_to_decode})
        self._batch = batch
        self._threads = threads
        self._version = version
        self._files = files
        self._machine = socket.gethostname()
        self._runtime: Runtime | None = None

    def open(self) -> None:
        """Loads the backbone.

        Raises:
            BackboneError: This machine can't run it, or has another version of Tagkin.
        """
        check_version(self._version)
        try:
            check_precision(self._config, self._settings)
            cached = cached_entry(self._config.graph_key, self._settings.cache_dir, self._fetch)
            self._runtime = Runtime(
                cached, self._config.precision, batch=self._batch, threads=self._threads
            )
        except BackboneError as error:
            raise BackboneError(f"on {self._machine}: {error}") from error

    def extract(self, rows: tuple[ImageRow, ...]) -> Extracted:
        """Reads, decodes and embeds images.

        Raises:
            LibraryError: Many files in a row took too long.
            BackboneError: The backbone can't be run.
        """
        if self._runtime is None:
            self.open()
        assert self._runtime is not None  # noqa: S101 - for the type checker
        problems: list[Problem] = []
        found = list(extract(rows, self._config, self._settings, problems, self._runtime))
        vectors = np.empty((len(found), self._config.dimension), np.float32)
        for place, (_, vector) in enumerate(found):
            vectors[place] = vector
        ids = [image for image, _ in found]
        none = not ids and not sees_any(path for row in rows for path in row.paths)
        return Extracted(ids, vectors, problems, self._machine, none)

    def _fetch(self, folder: Path) -> None:
        for name, content in self._files().items():
            (folder / name).write_bytes(content)


def check_version(wanted: str) -> None:
    """Refuses to work with another version of Tagkin.

    Raises:
        BackboneError: This machine has another one.
    """
    if tagkin.__version__ != wanted:
        raise BackboneError(
            f"{socket.gethostname()} has Tagkin {tagkin.__version__}, and the machine that asks "
            f"{wanted}: install the same version on all of them"
        )


def sees_any(paths: Iterable[Path]) -> bool:
    """Returns whether one of some files is there for this process."""
    return any(archives.seems_there(path) for path in paths)
