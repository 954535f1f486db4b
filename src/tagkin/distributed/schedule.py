"""Which worker does which images: nothing is lost with a worker, and what kills one is found."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import Generic, TypeVar

Row = TypeVar("Row")

#: Chunks that a worker has at once: two under way, for one alone leaves it idle at its begin and
#: end, and one more, for while results are stored.
UNDER_WAY, AHEAD = 2, 3

# A chunk takes a worker about a second: long beside what it costs to pass it on, short beside what
# a lost worker, or the wait for the last one, should cost.
_CHUNK_SECONDS = 1.0
_FIRST_CHUNK, _LARGEST_CHUNK = 8, 256
_TRIES = 3  # of a single image that a worker died of
_STRAGGLING = 4.0  # times as long as chunks take
_LEAST_STRAGGLING = 20.0  # seconds


@dataclass(eq=False)
class Chunk(Generic[Row]):
    """Some images that a worker does in one go.

    Attributes:
        rows: The images.
        suspect: Whether a worker has died that had it, so that it is now given out alone.
        deaths: Workers that died of it while it was a single image.
        copied: Whether a second worker has it, since the first takes long.
        done: Whether a result has come.
        since: When it was given out.
    """

    rows: tuple[Row, ...]
    suspect: bool = False
    deaths: int = 0
    copied: bool = False
    done: bool = False
    since: float = 0.0


class Schedule(Generic[Row]):
    """Gives out chunks, and takes back those of lost workers.

    What a lost worker had is given out again, each chunk to a worker that has nothing else, so
    that a second death tells which chunk is at fault. That is halved until it is a single image,
    which after three deaths is given up.

    Workers are known by any number.
    """

    def __init__(
        self,
        rows: Iterator[Row],
        count: int,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins.

        Args:
            rows: The images; read as they are given out.
            count: How many they are.
            workers: How many share them.
            clock: Seconds, from any beginning.
        """
        self._rows = rows
        self._left = count
        self._workers = workers
        self._clock = clock
        self._suspects: deque[Chunk[Row]] = deque()
        self._held: dict[int, list[Chunk[Row]]] = {}
        self._exhausted = False
        self._started: float | None = None
        self._done = 0

    @property
    def finished(self) -> bool:
        """Whether all images are done or given up."""
        return self._exhausted and not self._suspects and not any(self._under_way())

    def next_for(self, worker: int) -> Chunk[Row] | None:
        """Returns what a worker should do next, beside what it has; None if nothing now."""
        held = self._held.setdefault(worker, [])
        if len(held) >= AHEAD or any(chunk.suspect for chunk in held):
            return None
        if self._suspects:
            if held:  # it ends what it has, so that the suspect will be alone
                return None
            chunk: Chunk[Row] | None = self._suspects.popleft()
        else:
            chunk = self._fresh() or (None if held else self._straggling())
        if chunk is not None:
            chunk.since = self._clock()
            held.append(chunk)
        return chunk

    def take(self, worker: int, chunk: Chunk[Row]) -> bool:
        """Notes that a result of a chunk has come; returns whether it is the first of it."""
        self._held[worker].remove(chunk)
        if chunk.done:
            return False
        chunk.done = True
        self._done += len(chunk.rows)
        return True

    def lose(self, worker: int) -> list[Row]:
        """Notes that a worker is dead, and returns the images that are given up for it."""
        given_up: list[Row] = []
        for chunk in self._held.pop(worker, []):
            if chunk.done or any(chunk in held for held in self._held.values()):
                continue
            rows = chunk.rows
            if not chunk.suspect:
                self._suspects.append(Chunk(rows, suspect=True))
            elif len(rows) > 1:
                half = len(rows) // 2
                self._suspects.extend(
                    Chunk(one, suspect=True) for one in (rows[:half], rows[half:])
                )
            elif chunk.deaths + 1 < _TRIES:
                self._suspects.append(Chunk(rows, suspect=True, deaths=chunk.deaths + 1))
            else:
                given_up.extend(rows)
        return given_up

    def _under_way(self) -> Iterator[Chunk[Row]]:
        return (chunk for held in self._held.values() for chunk in held if not chunk.done)

    def _fresh(self) -> Chunk[Row] | None:
        rows = tuple(islice(self._rows, self._size()))
        self._left -= len(rows)
        self._exhausted = not rows
        return Chunk(rows) if rows else None

    def _size(self) -> int:
        size = _FIRST_CHUNK
        if self._started is None:
            self._started = self._clock()
        if self._done:
            each = self._done / max(self._clock() - self._started, 1e-6) / self._workers
            size = min(max(1, round(each * _CHUNK_SECONDS)), _LARGEST_CHUNK)
        # Towards the end they are smaller, so that all workers end at about the same time.
        return max(1, min(size, ceil(self._left / (2 * self._workers))))

    def _straggling(self) -> Chunk[Row] | None:
        """Returns a chunk that another worker takes very long for, to be done twice."""
        patience = max(_STRAGGLING * _CHUNK_SECONDS * AHEAD, _LEAST_STRAGGLING)
        late = [
            chunk
            for chunk in self._under_way()
            if not chunk.copied and not chunk.suspect and self._clock() - chunk.since > patience
        ]
        oldest = min(late, key=lambda chunk: chunk.since, default=None)
        if oldest is not None:
            oldest.copied = True
        return oldest
