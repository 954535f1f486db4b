"""Work in threads, a bounded number of items ahead."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

from tagkin.hardware import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 8  # items a thread
_LEAVE_SECONDS = 1.0  # for the threads to end, unless one of them hangs


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Yields each item with the function's result, in order, computed in threads.

    Only a bounded number of items is taken and kept ahead of what has been yielded.

    Args:
        function: Of one item; safe to call from several threads.
        items: May be endless.
        threads: Number of threads; the usable cores if None.
    """
    count = threads or usable_cores()
    remaining = iter(items)
    with ThreadPoolExecutor(count) as pool:
        pending: deque[tuple[Item, Future[Result]]] = deque()
        try:
            for item in islice(remaining, _AHEAD * count):
                pending.append((item, pool.submit(function, item)))
            while pending:
                item, future = pending.popleft()
                yield item, future.result()
                for following in islice(remaining, 1):
                    pending.append((following, pool.submit(function, following)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def map_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    *,
    timeout: float,
) -> Iterator[tuple[Item, Result | TimeoutError]]:
    """Yields what `map_unordered` does, in the order of the items.

    While an item is waited for, at most until the timeout, the results after it are kept.
    """
    waiting: dict[int, tuple[Item, Result | TimeoutError]] = {}
    due = 0
    done = map_unordered(
        lambda numbered: function(numbered[1]), enumerate(items), threads, timeout=timeout
    )
    for (number, item), result in done:
        waiting[number] = item, result
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    *,
    timeout: float,
) -> Iterator[tuple[Item, Result | TimeoutError]]:
    """Yields each item with the function's result as it is done, computed in threads.

    A slow item holds up no other one. One that takes longer than ``timeout``, such as a file on a
    network drive that has gone, is given up: it comes with a ``TimeoutError``, and another thread
    takes the place of the one that hangs, which can't be stopped but doesn't keep the process
    from ending. Only a bounded number of items is taken and kept ahead of what has been yielded.

    Args:
        function: Of one item; safe to call from several threads.
        items: May be endless.
        threads: Number of threads; the usable cores if None.
        timeout: Seconds.

    Raises:
        Exception: Whatever ``function`` or ``items`` raised.
    """
    pool = _Pool(function, threads or usable_cores())
    remaining = iter(items)
    under_way = 0
    try:
        while True:
            for item in islice(remaining, pool.most_ahead - under_way):
                pool.submit(item)
                under_way += 1
            if not under_way:
                return
            yield pool.take(timeout)
            under_way -= 1
    finally:
        pool.close()


def bundled(
    items: Iterable[Item], is_quick: Callable[[Item], bool], most: int
) -> Iterator[list[Item]]:
    """Yields items in their order: those that are quickly done several at a time, others alone.

    To hand something to a thread takes longer than many a small task.

    Args:
        items: May be endless.
        is_quick: Whether an item is quickly done.
        most: Items in a bundle.
    """
    bundle: list[Item] = []
    for item in items:
        quick = is_quick(item)
        if bundle and (not quick or len(bundle) == most):
            yield bundle
            bundle = []
        if quick:
            bundle.append(item)
        else:
            yield [item]
    if bundle:
        yield bundle


class _Pool(Generic[Item, Result]):
    """Daemon threads, unlike those of ``concurrent.futures``, for which a process waits."""

    def __init__(self, function: Callable[[Item], Result], threads: int) -> None:
        self.most_ahead = _AHEAD * threads
        self._function = function
        self._todo: queue.SimpleQueue[tuple[int, Item] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Item, Result | BaseException]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._started: dict[int, tuple[Item, float]] = {}  # by the item's number
        self._given_up: set[int] = set()
        self._submitted = 0
        self._threads = [self._new_thread() for _ in range(threads)]

    def submit(self, item: Item) -> None:
        self._submitted += 1
        self._todo.put((self._submitted, item))

    def take(self, timeout: float) -> tuple[Item, Result | TimeoutError]:
        """Waits for the next item that is done or has taken too long."""
        while True:
            if (overdue := self._give_up(timeout)) is not None:
                return overdue, TimeoutError(f"not done within {timeout:g} seconds")
            try:
                number, item, result = self._done.get(timeout=min(timeout / 4, 1.0))
            except queue.Empty:
                continue
            if number in self._given_up:  # it came after all, when its place was already filled
                self._given_up.discard(number)
                continue
            if isinstance(result, BaseException):
                raise result
            return item, result

    def close(self) -> None:
        while True:  # what no thread has begun
            try:
                self._todo.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._todo.put(None)
        until = time.monotonic() + _LEAVE_SECONDS
        for thread in self._threads if not self._given_up else ():
            thread.join(max(0.0, until - time.monotonic()))

    def _new_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        return thread

    def _give_up(self, timeout: float) -> Item | None:
        now = time.monotonic()
        with self._lock:
            for number, (item, since) in self._started.items():
                if now - since > timeout:
                    del self._started[number]
                    self._given_up.add(number)
                    self._threads.append(self._new_thread())
                    return item
        return None

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            number, item = task
            with self._lock:
                self._started[number] = item, time.monotonic()
            result: Result | BaseException
            try:
                result = self._function(item)
            except BaseException as error:
                result = error
            with self._lock:
                in_time = self._started.pop(number, None) is not None
            self._done.put((number, item, result))
            if not in_time:  # another thread has this one's place
                return
