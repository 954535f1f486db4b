"""Who does which images: all are done, once, whichever workers die."""

import random
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.distributed.schedule import AHEAD, UNDER_WAY, Chunk, Schedule


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fill(schedule: Schedule[int], worker: int) -> list[Chunk[int]]:
    """Gives a worker all that it is to have."""
    given = []
    while (chunk := schedule.next_for(worker)) is not None:
        given.append(chunk)
    return given


def simulate(
    images: int, workers: int, poison: set[int], kills: int, seed: int
) -> tuple[list[int], list[int], int]:
    """Lets workers work and die; returns the images done, those given up, and the deaths.

    Args:
        images: How many there are.
        workers: At the same time.
        poison: Images of which a worker dies.
        kills: Workers that die of nothing.
        seed: Of chance.
    """
    chance, clock, numbers = random.Random(seed), Clock(), count()
    schedule = Schedule(iter(range(images)), images, workers, clock)
    under_way: dict[int, list[Chunk[int]]] = {next(numbers): [] for _ in range(workers)}
    done: list[int] = []
    given_up: list[int] = []
    deaths = 0
    while True:
        for worker, held in under_way.items():
            held.extend(fill(schedule, worker))
            assert len(held) <= AHEAD
        if schedule.finished:
            return done, given_up, deaths
        clock.now += chance.random()
        worker = chance.choice([one for one, held in under_way.items() if held])
        held = under_way[worker]
        if (killed := kills > 0 and chance.random() < 0.2) or any(
            poison & set(chunk.rows) for chunk in held[:UNDER_WAY]
        ):
            kills -= killed
            deaths += 1
            given_up += schedule.lose(worker)
            del under_way[worker]
            under_way[next(numbers)] = []
        else:
            chunk = held.pop(chance.randrange(min(UNDER_WAY, len(held))))
            if schedule.take(worker, chunk):
                done += chunk.rows


@given(
    images=st.integers(0, 300),
    workers=st.integers(1, 5),
    poison=st.sets(st.integers(0, 299), max_size=3),
    kills=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
def test_all_images_are_done_once_but_those_that_kill(
    images: int, workers: int, poison: set[int], kills: int, seed: int
) -> None:
    done, given_up, _ = simulate(images, workers, poison, kills, seed)
    deadly = {image for image in poison if image < images}
    assert sorted(done) == sorted(set(range(images)) - deadly)
    assert sorted(given_up) == sorted(deadly)


def test_few_workers_die_of_one_image() -> None:
    _, given_up, deaths = simulate(10_000, 2, {5000}, 0, 1)
    assert given_up == [5000]
    assert deaths <= 12  # once among others, once for each halving of 256, and three times alone


def test_chunks_grow_to_a_second_of_work_and_shrink_towards_the_end() -> None:
    clock = Clock()
    schedule = Schedule(iter(range(2000)), 2000, 2, clock)
    sizes = []
    while not schedule.finished:
        for worker in (0, 1):
            for chunk in fill(schedule, worker):
                clock.now += len(chunk.rows) / 100  # two workers at 50 images a second each
                sizes.append(len(chunk.rows))
                schedule.take(worker, chunk)
    assert sizes[0] == 8
    assert 40 <= max(sizes) <= 60
    assert sizes[-1] <= 5
    assert sum(sizes) == 2000


def test_what_one_worker_takes_too_long_for_another_does_as_well() -> None:
    clock = Clock()
    schedule = Schedule(iter(range(20)), 20, 2, clock)
    slow = fill(schedule, 0)
    for chunk in fill(schedule, 1):
        schedule.take(1, chunk)
    while chunk := schedule.next_for(1):
        schedule.take(1, chunk)
    assert not schedule.finished
    clock.now += 60
    for chunk in slow:
        assert schedule.next_for(1) is chunk
        assert schedule.take(1, chunk)
    assert schedule.finished
    assert not schedule.take(0, slow[0])  # late, and no news


@pytest.mark.parametrize("dies", [0, 1])
def test_a_chunk_that_two_workers_have_outlives_one_of_them(dies: int) -> None:
    clock = Clock()
    schedule = Schedule(iter(range(1)), 1, 2, clock)
    (chunk,) = fill(schedule, 0)
    assert fill(schedule, 1) == []
    clock.now += 60
    assert fill(schedule, 1) == [chunk]
    assert schedule.lose(dies) == []
    assert not schedule.finished
    assert schedule.take(1 - dies, chunk)
    assert schedule.finished
