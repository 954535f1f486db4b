"""Work in threads: each item once, bounded, failing where the work failed, never stuck."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import subprocess_environment

from tagkin.parallel import bundled, map_ahead, map_unordered


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


# As they are done


def test_unordered_all_items_come_once_with_their_results() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    found = list(map_unordered(work, range(100), 4, timeout=60))
    assert sorted(found) == [(n, n * n) for n in range(100)]  # type: ignore[type-var]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_unordered_few_or_no_items(threads: int | None) -> None:
    assert list(map_unordered(str, [], threads, timeout=60)) == []
    assert list(map_unordered(str, [1], threads, timeout=60)) == [(1, "1")]


def test_unordered_works_in_as_many_threads_as_asked_for() -> None:
    barrier = threading.Barrier(3, timeout=10)  # breaks unless three are at work at once
    assert len(list(map_unordered(lambda _: barrier.wait(), range(6), 3, timeout=60))) == 6


def test_unordered_takes_a_bounded_number_of_items_ahead_of_endless_ones() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = map_unordered(str, endless(), 2, timeout=60)
    for seen in range(1, 101):
        next(results)
        assert taken <= seen + 16
    results.close()  # type: ignore[attr-defined]
    assert taken <= 116


def test_a_slow_item_holds_up_no_other() -> None:
    release = threading.Event()

    def work(number: int) -> bool:
        return release.wait(30) if number == 0 else True

    results = map_unordered(work, range(200), 2, timeout=60)
    others = [next(results)[0] for _ in range(199)]  # many more than are kept ahead
    assert sorted(others) == list(range(1, 200))
    release.set()
    assert list(results) == [(0, True)]


@pytest.mark.parametrize("hanging", [1, 2, 5])
def test_items_that_hang_are_given_up_and_the_rest_goes_on(hanging: int) -> None:
    release = threading.Event()

    def work(number: int) -> int:
        if number < hanging:
            release.wait(30)
        return number

    found = dict(map_unordered(work, range(60), 2, timeout=0.2))
    release.set()
    assert sorted(found) == list(range(60))
    for number, result in found.items():
        if number < hanging:
            assert isinstance(result, TimeoutError)
        else:
            assert result == number


def test_an_item_that_hangs_is_given_up_while_others_are_done() -> None:
    # Not only when nothing else comes: the thread that hangs would be missing until the end.
    release = threading.Event()
    at_work: set[int] = set()

    def work(number: int) -> int:
        at_work.add(threading.get_ident())
        if number == 0:
            release.wait(30)
        time.sleep(0.005)
        return number

    results = map_unordered(work, itertools.count(), 2, timeout=0.2)
    for item, result in itertools.islice(results, 2000):
        if item == 0:
            assert isinstance(result, TimeoutError)
            break
    else:
        pytest.fail("the item that hangs never came")
    for _ in itertools.islice(results, 50):
        pass
    assert len(at_work) == 3  # another thread has taken the place of the one that hangs
    release.set()
    results.close()  # type: ignore[attr-defined]


def test_an_item_given_up_does_not_come_a_second_time() -> None:
    release = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            release.wait(30)
        return number

    found = []
    for item, result in map_unordered(work, range(40), 1, timeout=0.2):
        if isinstance(result, TimeoutError):
            release.set()
            time.sleep(0.1)  # it is done now, too late
        found.append(item)
    assert sorted(found) == list(range(40))


def test_unordered_an_exception_comes_out() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    with pytest.raises(ValueError, match="five"):
        list(map_unordered(work, itertools.count(), 2, timeout=60))


def test_unordered_an_exception_of_the_items_comes_out() -> None:
    def items() -> Iterator[int]:
        yield from range(40)
        raise OSError("disk gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="disk gone"):
        list(map_unordered(str, items(), 2, timeout=60))
    assert threading.active_count() == before


@pytest.mark.parametrize("seen", [1, 50])
def test_unordered_leaving_early_ends_the_threads(seen: int) -> None:
    before = threading.active_count()
    results = map_unordered(str, itertools.count(), 2, timeout=60)
    for _ in range(seen):
        next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_unordered_the_threads_end_with_the_items() -> None:
    before = threading.active_count()
    assert len(list(map_unordered(str, range(50), 3, timeout=60))) == 50
    assert threading.active_count() == before


_HANGING = """
import sys, threading
from tagkin.parallel import map_unordered

def work(number):
    if number == 0:
        threading.Event().wait()
    return number

results = map_unordered(work, range(20), 2, timeout=float(sys.argv[1]))
if sys.argv[2] == "early":
    print(next(results)[0] > 0)
    raise KeyboardInterrupt
found = dict(results)
print(len(found), type(found[0]).__name__)
"""


@pytest.mark.parametrize(
    ("timeout", "leave", "expected"),
    [("0.2", "late", "20 TimeoutError\n"), ("3600", "early", "True\n")],
)
def test_a_process_ends_though_a_thread_hangs(timeout: str, leave: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HANGING, timeout, leave],
        capture_output=True,
        text=True,
        timeout=60,  # it would never end
        env=subprocess_environment(),
    )
    assert done.stdout == expected, done.stderr
    assert ("KeyboardInterrupt" in done.stderr) == (leave == "early")


def test_quick_items_come_in_bundles_and_in_order() -> None:
    bundles = list(bundled(range(12), lambda number: number not in (3, 4, 11), 3))
    assert bundles == [[0, 1, 2], [3], [4], [5, 6, 7], [8, 9, 10], [11]]
    assert list(bundled([1], bool, 3)) == [[1]]
    assert list(bundled([], bool, 3)) == []
    endless = bundled(itertools.count(), lambda number: True, 2)
    assert [next(endless), next(endless)] == [[0, 1], [2, 3]]
