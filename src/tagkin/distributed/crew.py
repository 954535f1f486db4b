"""Ray's workers at work, whatever they do; those that die are replaced."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import count as numbers
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

import tagkin
from tagkin.distributed.schedule import UNDER_WAY, Chunk, Schedule
from tagkin.distributed.session import ray_session
from tagkin.distributed.sharing import share_out
from tagkin.distributed.worker import Extracted, Files, sees_any
from tagkin.errors import EngineError, LibraryError, TagkinError
from tagkin.hardware import usable_cores
from tagkin.storage_watch import StorageWatch

_LOOK_SECONDS = 5.0  # after which stragglers are looked for
_MOST_DEATHS = 10  # in a row, besides one of each worker


class HasPaths(Protocol):
    """What workers are given: an image with its files."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, each as good as another."""


Row = TypeVar("Row", bound=HasPaths)


class Ray:
    """Where workers run, and how many; Ray is started or joined when there is something to do."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Notes where and how many.

        Args:
            address: Of a running Ray cluster; if None, Ray is started on this machine.
            workers: Processes; from the number of cores if None.
        """
        self.address = address
        self._workers = workers

    def check(self) -> None:
        """Says what can't be before Ray is started.

        Raises:
            EngineError: More workers are wanted than there are cores.
        """
        if not self.address:
            share_out([usable_cores()], self._workers)

    def work(
        self,
        rows: Iterable[Row],
        count: int,
        worker: type,
        arguments: dict[str, Any],
        give_up: Callable[[Row, str], object],
        files: Callable[[], Files] = dict,
    ) -> Generator[tuple[tuple[Row, ...], Extracted], None, None]:
        """Yields images and what workers made of them, some at a time, as they come.

        Args:
            rows: The images.
            count: How many they are.
            worker: A class with the methods ``open`` and ``extract``, whose arguments are those
                below, and ``threads``, ``version`` and ``files``.
            arguments: For the worker.
            give_up: Called with an image that workers died of, and the reason.
            files: Files that a worker may lack, by name.

        Raises:
            EngineError: Ray is missing, can't be started or reached, or its workers keep dying.
            LibraryError: A machine doesn't see the images, or their storage doesn't answer.
            TagkinError: What a worker raised.
        """
        with ray_session(self.address) as ray:
            cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
            workers, threads = share_out(cores, self._workers)
            # Once for all workers, since a tagger may be large.
            stored = {name: ray.put(value) for name, value in arguments.items()}
            make = partial(
                ray.remote(worker).options(num_cpus=threads, max_concurrency=UNDER_WAY).remote,
                **stored,
                threads=threads,
                version=tagkin.__version__,
                files=_Deferred(ray.put(files())),
            )
            schedule = Schedule(iter(rows), count, workers)
            crew = _Crew(ray, make, workers, give_up)
            watch = StorageWatch()  # each worker's own ends with its chunk
            try:
                for chunk, made in crew.results(schedule):
                    paths = (path for row in chunk.rows for path in row.paths)
                    if made.sees_none and sees_any(paths):
                        raise LibraryError(
                            f"{made.machine} doesn't see files that are there on this machine, "
                            f"such as {chunk.rows[0].paths[0]}: mount them there at the same path"
                        )
                    for problem in (None,) if len(made.values) else made.problems:
                        watch.saw(problem)
                    yield chunk.rows, made
            finally:
                crew.dismiss()


class _Deferred:
    """Files, which only a worker that lacks them takes out of Ray's memory."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def __call__(self) -> Files:
        import ray

        found: Files = ray.get(self._reference)
        return found


class _Crew(Generic[Row]):
    """The workers, each known by a number that is never used again."""

    def __init__(
        self,
        ray: ModuleType,
        worker: Callable[[], Any],
        size: int,
        give_up: Callable[[Row, str], object],
    ) -> None:
        self._ray: Any = ray
        self._worker = worker
        self._size = size
        self._give_up = give_up
        self._numbers = numbers()
        self._actors: dict[int, Any] = {}
        self._ready: set[int] = set()
        # What is under way: the worker, and the chunk, or None while it loads the backbone.
        self._calls: dict[Any, tuple[int, Chunk[Row] | None]] = {}
        self._deaths = 0  # since the last result

    def results(self, schedule: Schedule[Row]) -> Iterator[tuple[Chunk[Row], Extracted]]:
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
                    self._lose(number, schedule, error)
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

    def _give_out(self, schedule: Schedule[Row]) -> None:
        for number in self._ready:
            while (chunk := schedule.next_for(number)) is not None:
                self._calls[self._actors[number].extract.remote(chunk.rows)] = number, chunk

    def _lose(self, number: int, schedule: Schedule[Row], error: Exception) -> None:
        """Replaces a dead worker; images may be given up for it."""
        self._end(number)
        self._deaths += 1
        if self._deaths > _MOST_DEATHS + self._size:
            raise EngineError(
                f"Ray's workers keep dying, the last with: {_reason(error)}; what was stored "
                "stays, and the same command goes on from there"
            ) from error
        self._hire()
        for row in schedule.lose(number):
            self._give_up(row, f"workers died each time they read it: {_reason(error)}")

    def _end(self, number: int) -> None:
        self._ready.discard(number)
        self._ray.kill(self._actors.pop(number))


def _reason(error: Exception) -> str:
    """Returns the last line that says something, without Ray's guesses at causes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return re.split(r"\. (?:There are|Some|\(1\))", last)[0][:300]
