"""`RayEngine`: embeds with Ray's workers; those that die are replaced."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count as numbers
from types import ModuleType
from typing import Any

import tagkin
from tagkin.backbones import BackboneConfig, cached_graph
from tagkin.backbones.tuning import choose_batch
from tagkin.distributed.schedule import UNDER_WAY, Chunk, Schedule
from tagkin.distributed.session import ray_session
from tagkin.distributed.sharing import share_out
from tagkin.distributed.worker import Extracted, GraphFiles, Worker, sees_any
from tagkin.embeddings import Vectors
from tagkin.errors import BackboneError, EngineError, LibraryError, TagkinError
from tagkin.hardware import usable_cores
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings

_LOOK_SECONDS = 5.0  # after which stragglers are looked for
_MOST_DEATHS = 10  # in a row, besides one of each worker


class RayEngine:
    """Makes vectors with the workers of a Ray cluster; an `embeddings.Engine`."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Notes where and how many; Ray is started or joined when there is something to do.

        Args:
            address: Of a running Ray cluster; if None, Ray is started on this machine.
            workers: Processes that embed; from the number of cores if None.
        """
        self._address = address
        self._workers = workers

    def __call__(
        self,
        rows: Iterable[ImageRow],
        count: int,
        config: BackboneConfig,
        settings: Settings,
        problems: list[Problem],
    ) -> Vectors:
        """Yields ids and vectors as they come; see `embeddings.Engine`.

        Raises:
            EngineError: Ray is missing, can't be started or reached, or its workers keep dying.
            BackboneError: A machine can't run the backbone.
            LibraryError: A machine doesn't see the files, or many in a row took too long.
        """
        if settings.device != "cpu":
            raise BackboneError("--engine ray runs on processors: leave --device gpu out")
        if not self._address:
            share_out([usable_cores()], self._workers)  # says what can't be before Ray is started
        graph = cached_graph(config, settings.cache_dir)
        batch = choose_batch(graph, config.precision, count * len(config.views))
        with ray_session(self._address) as ray:
            cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
            workers, threads = share_out(cores, self._workers)
            files: GraphFiles = {}
            if self._address:  # other machines have caches of their own
                files = {one.name: one.read_bytes() for one in (graph, graph.with_suffix(".bin"))}
            worker = partial(
                ray.remote(Worker).options(num_cpus=threads, max_concurrency=UNDER_WAY).remote,
                config,
                settings,
                batch=batch,
                threads=threads,
                version=tagkin.__version__,
                graph=_Deferred(ray.put(files)),
            )
            schedule = Schedule(iter(rows), count, workers)
            crew = _Crew(ray, worker, workers)
            try:
                for chunk, made in crew.results(schedule, problems):
                    if made.sees_none and sees_any(chunk.rows):
                        raise LibraryError(
                            f"{made.machine} doesn't see files that are there on this machine, "
                            f"such as {chunk.rows[0].paths[0]}: mount them there at the same path"
                        )
                    problems.extend(made.problems)
                    yield from zip(made.ids, made.vectors, strict=True)
            finally:
                crew.dismiss()


class _Deferred:
    """The files of a graph, which only a worker that lacks them takes out of Ray's memory."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def __call__(self) -> GraphFiles:
        import ray

        found: GraphFiles = ray.get(self._reference)
        return found


class _Crew:
    """The workers, each known by a number that is never used again."""

    def __init__(self, ray: ModuleType, worker: Callable[[], Any], size: int) -> None:
        self._ray: Any = ray
        self._worker = worker
        self._size = size
        self._numbers = numbers()
        self._actors: dict[int, Any] = {}
        self._ready: set[int] = set()
        # What is under way: the worker, and the chunk, or None while it loads the backbone.
        self._calls: dict[Any, tuple[int, Chunk[ImageRow] | None]] = {}
        self._deaths = 0  # since the last result

    def results(
        self, schedule: Schedule[ImageRow], problems: list[Problem]
    ) -> Iterator[tuple[Chunk[ImageRow], Extracted]]:
        """Yields each chunk with what was made of it.

        Raises:
            TagkinError: What a worker raised, or workers keep dying.
        """
        for _ in range(self._size):
            self._hire()
        while True:
            self._give_out(schedule)
            if schedule.finished:
                return
            for call in self._ray.wait(list(self._calls), timeout=_LOOK_SECONDS)[0]:
                number, chunk = self._calls.pop(call)
                if number not in self._actors:  # lost since
                    continue
                try:
                    made = self._ray.get(call)
                except self._ray.exceptions.RayError as error:
                    if isinstance(cause := getattr(error, "cause", None), TagkinError):
                        raise cause from error
                    problems.extend(self._lose(number, schedule, error))
                    continue
                if chunk is None:
                    self._ready.add(number)
                    continue
                self._deaths = 0
                if schedule.take(number, chunk):
                    yield chunk, made

    def dismiss(self) -> None:
        """Ends all workers."""
        for number in list(self._actors):
            self._end(number)

    def _hire(self) -> None:
        number = next(self._numbers)
        self._actors[number] = self._worker()
        self._calls[self._actors[number].open.remote()] = number, None

    def _give_out(self, schedule: Schedule[ImageRow]) -> None:
        for number in self._ready:
            while (chunk := schedule.next_for(number)) is not None:
                self._calls[self._actors[number].extract.remote(chunk.rows)] = number, chunk

    def _lose(self, number: int, schedule: Schedule[ImageRow], error: Exception) -> list[Problem]:
        """Replaces a dead worker; returns images that are given up."""
        self._end(number)
        self._deaths += 1
        if self._deaths > _MOST_DEATHS + self._size:
            raise EngineError(
                f"Ray's workers keep dying, the last with: {_reason(error)}; what was stored "
                "stays, and the same command goes on from there"
            ) from error
        self._hire()
        reason = f"workers died each time they read it: {_reason(error)}"
        return [Problem(row.paths[0], reason) for row in schedule.lose(number)]

    def _end(self, number: int) -> None:
        self._ready.discard(number)
        self._ray.kill(self._actors.pop(number))


def _reason(error: Exception) -> str:
    """Returns the last line that says something, without Ray's guesses at causes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return re.split(r"\. (?:There are|Some|\(1\))", last)[0][:300]
