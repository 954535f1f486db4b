"""Work in threads: in order, bounded, and failing where the work failed."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from tagkin.parallel import map_ahead


def test_results_come_with_their_items_in_order() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(map_ahead(work, range(60), 4)) == [(n, n * n) for n in range(60)]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_few_or_no_items(threads: int | None) -> None:
    assert list(map_ahead(str, [], threads)) == []
    assert list(map_ahead(str, [1], threads)) == [(1, "1")]


def test_works_in_as_many_threads_as_asked_for() -> None:
    barrier = threading.Barrier(3, timeout=10)  # breaks unless three are at work at once
    assert len(list(map_ahead(lambda _: barrier.wait(), range(6), 3))) == 6


def test_takes_a_bounded_number_of_items_ahead_of_endless_ones() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = map_ahead(str, endless(), 2)
    for seen in range(1, 101):
        next(results)
        assert taken <= seen + 16
    results.close()  # type: ignore[attr-defined]
    assert taken <= 116


def test_an_exception_comes_out_at_its_item() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    seen = []
    with pytest.raises(ValueError, match="five"):
        seen.extend(item for item, _ in map_ahead(work, iter(range(1000)), 2))
    results = map_ahead(work, range(1000), 2)
    assert [next(results)[0] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_an_exception_of_the_items_comes_out() -> None:
    def items() -> Iterator[int]:
        yield from range(40)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(map_ahead(str, items(), 2))


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    results = map_ahead(str, itertools.count(), 2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
