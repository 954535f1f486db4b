"""Tags predicted by Ray's workers, in the order of the images, as the plain engine gives them."""

import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tagkin.distributed.crew import Ray
from tagkin.distributed.worker import Extracted, Files, check_version, sees_any
from tagkin.settings import Settings
from tagkin.tagger import Prediction, Tagger

_GRAPH = "backbone.xml"
_ENDLESS = 2**62  # images: nobody has counted them, and chunks get smaller towards the end only


@dataclass(frozen=True)
class _Place:
    """An image, and its place among all."""

    number: int
    path: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)


class RayPredictor:
    """Predicts tags with the workers of a Ray cluster."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Notes where and how many; see `tagkin.distributed.crew.Ray`."""
        self._ray = Ray(address, workers)

    def __call__(
        self, tagger: Tagger, paths: Iterable[Path], settings: Settings, *, top: int | None = None
    ) -> Iterator[Prediction]:
        """Yields what `Tagger.predict` does.

        Raises:
            EngineError: Ray is missing, can't be started or reached, or its workers keep dying.
            TaggerError: The tagger can't be run on a machine.
            LibraryError: A machine doesn't see the files.
        """
        self._ray.check()
        ready: dict[int, Prediction] = {}

        def give_up(place: _Place, reason: str) -> None:
            ready[place.number] = Prediction(place.path, error=reason)

        def files() -> Files:
            ends = (".xml", ".bin") if self._ray.address else ()
            found = [tagger.graph.with_suffix(end) for end in ends]
            return {one.name: one.read_bytes() for one in found}

        places = (_Place(number, path) for number, path in enumerate(paths))
        arguments = {"tagger": tagger, "settings": settings, "top": top}
        made = self._ray.work(places, _ENDLESS, PredictWorker, arguments, give_up, files)
        yield from _in_order(made, ready)


def _in_order(
    made: Generator[tuple[tuple[_Place, ...], Extracted], None, None],
    ready: dict[int, Prediction],
) -> Iterator[Prediction]:
    """Yields predictions by their places; ``ready`` holds those that came before their turn."""
    following = 0
    try:
        for places, extracted in made:
            ready.update(
                (place.number, prediction)
                for place, prediction in zip(places, extracted.values, strict=True)
            )
            while following in ready:
                yield ready.pop(following)
                following += 1
    finally:
        made.close()
    yield from (ready[number] for number in sorted(ready))


class PredictWorker:
    """Predicts the tags of the images that it is given."""

    def __init__(
        self,
        tagger: Tagger,
        settings: Settings,
        top: int | None,
        *,
        threads: int,
        version: str,
        files: Callable[[], Files],
    ) -> None:
        """Notes what to do.

        Args:
            tagger: With the path of its graph on the machine that asks.
            settings: Limits of images, and by what tags are ranked.
            top: See `Tagger.predict`.
            threads: Share of this machine's cores.
            version: That of Tagkin where the worker was started.
            files: Gives the tagger's graph; nothing if its path is good here too.
        """
        self._tagger = tagger
        threads_to_decode = settings.decode_threads or threads
        self._settings = settings.model_copy(update={"decode_threads": threads_to_decode})
        self._top = top
        self._threads = threads
        self._version = version
        self._files = files

    def open(self) -> None:
        """Loads the backbone.

        Raises:
            TaggerError: This machine can't run it.
            BackboneError: This machine has another version of Tagkin.
        """
        check_version(self._version)
        if files := self._files():
            with tempfile.TemporaryDirectory(prefix="tagkin-") as folder:
                for name, content in files.items():
                    (Path(folder) / name).write_bytes(content)
                here = replace(self._tagger, graph=Path(folder) / self._tagger.graph.name)
                self._tagger = here.on_cores(self._threads)
        else:
            self._tagger = self._tagger.on_cores(self._threads)

    def extract(self, places: tuple[_Place, ...]) -> Extracted:
        """Predicts the tags of images."""
        paths = [place.path for place in places]
        found = list(self._tagger.predict(paths, self._settings, top=self._top))
        seen = any(one.error is None for one in found)
        return Extracted([], found, [], socket.gethostname(), not (seen or sees_any(paths)))
