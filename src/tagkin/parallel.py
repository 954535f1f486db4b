"""Work in threads, a bounded number of items ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tagkin.hardware import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


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
            for item in islice(remaining, 8 * count):
                pending.append((item, pool.submit(function, item)))
            while pending:
                item, future = pending.popleft()
                yield item, future.result()
                for following in islice(remaining, 1):
                    pending.append((following, pool.submit(function, following)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
