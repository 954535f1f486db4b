"""Groups of images that look nearly the same, by their perceptual hashes."""

from collections.abc import Iterator
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.hash_keys import MOST_KEYS, Hashes, best_slices, keys
from tagkin.joined import Joined, Labels

_CROWD = 64  # more hashes than this with the same key get a longer key
_STEPS_IN_CROWD = 4  # to neighbours; they join most of what is nearly the same
_MANY = 8  # looked up one by one, the hashes of pairs take longer than all of them at once
_TABLE_BITS = 24  # of a key that is looked up
_BLOCK = 2**21  # pairs compared at once

# What things take, where to sort a hash by its key takes 1.
_COMPARE = 0.05
_LOOK_UP = 0.25
_GROUP = 20.0


def group_by_hash(hashes: Hashes, distance: int, known: Labels | None = None) -> Labels:
    """Joins images whose hashes differ in at most ``distance`` bits, directly or by a chain.

    Exact, without comparing all pairs: hashes are sorted by keys, and those that have one in
    common are compared; see `tagkin.hash_keys`. The more hashes, the longer the keys. Memory is
    some times that of the hashes, however many of them are nearly the same.

    Args:
        hashes: Perceptual hashes, uint64 of shape (images,).
        distance: Bits in which two hashes of one group may differ.
        known: int64 of shape (images,): the groups, numbered from 0, into which the same distance
            puts all images but the new ones, which have -1. Those groups are only joined.

    Returns:
        Group numbers from 0, int64 of shape (images,).
    """
    if known is not None and np.count_nonzero(known < 0) <= len(hashes) // 8:
        return _with_new(hashes, distance, known)
    unique, which = np.unique(hashes, return_inverse=True)
    return _groups_of(unique, distance)[which]


def several_of(labels: NDArray[np.integer[Any]]) -> list[NDArray[np.int64]]:
    """Returns the places of each label that two or more have, ascending, by their first."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    starts, ends = _runs(labels[order])
    several = np.flatnonzero(ends - starts > 1)
    several = several[np.argsort(order[starts[several]])]
    return [order[starts[one] : ends[one]] for one in several.tolist()]


def _groups_of(hashes: Hashes, distance: int) -> Labels:
    """Returns the groups of hashes that are distinct and ascend."""
    groups = Joined(len(hashes))
    slices = best_slices(distance, lambda bits: 1 + _COMPARE * len(hashes) / 2**bits)
    rest = hashes
    while len(rest):
        longest = comb(slices + 2, distance) > MOST_KEYS
        labels, crowded = groups.labels(), np.zeros(len(hashes), bool)
        for key in keys(slices, distance):
            moved = np.sort(key.moved(rest))
            prefix = key.prefix(moved)
            starts, ends = _runs(prefix)
            crowds = ends - starts > _CROWD
            many = np.repeat(crowds, ends - starts)
            places: Labels | None = None
            for at, step in _close_neighbours(moved, prefix, many, distance):
                if places is None and len(at) > len(moved) // _MANY:
                    places = np.searchsorted(hashes, key.back(moved))
                left, right = (
                    np.searchsorted(hashes, key.back(moved[one])) if places is None else places[one]
                    for one in (at, at + step)
                )
                groups.join(left, right)
            for start, end in zip(starts[crowds].tolist(), ends[crowds].tolist(), strict=True):
                places = np.searchsorted(hashes, key.back(moved[start:end]))
                if longest:
                    _compare_all(hashes, places, distance, groups)
                elif (labels[places] != labels[places[0]]).any():
                    crowded[places] = True
        rest = hashes[crowded]
        slices += 2
    return groups.labels()


def _close_neighbours(
    moved: Hashes, prefix: Hashes, crowded: NDArray[np.bool_], distance: int
) -> Iterator[tuple[Labels, int]]:
    """Yields places of sorted hashes, and how far behind each is one with the same prefix nearby.

    In a crowd, only the next few are compared.
    """
    step, at = 0, np.arange(len(moved))
    while len(at):
        step += 1
        if step > _STEPS_IN_CROWD:
            at = at[~crowded[at]]
        at = at[: np.searchsorted(at, len(moved) - step)]
        at = at[prefix[at] == prefix[at + step]]
        close = at[np.bitwise_count(moved[at] ^ moved[at + step]) <= distance]
        if len(close):
            yield close, step


def _compare_all(hashes: Hashes, places: Labels, distance: int, groups: Joined) -> None:
    """Compares all of some hashes, except for those of a group with each other."""
    labels = groups.labels()[places]
    names, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    if len(names) == 1:
        return
    chosen = hashes[places]
    local = Joined(len(places))
    local.join(np.arange(len(places)), first[numbers])
    done = np.zeros(len(places), bool)
    while True:
        labels = local.labels()
        largest = np.argmax(np.bincount(labels))
        rows = np.flatnonzero((labels != largest) & ~done)[: max(1, _BLOCK // len(places))]
        if not len(rows):
            break
        i, j = np.nonzero(np.bitwise_count(chosen[rows, None] ^ chosen) <= distance)
        local.join(rows[i], j)
        done[rows] = True
    groups.join(places, places[np.unique(labels, return_index=True)[1][labels]])


def _with_new(hashes: Hashes, distance: int, known: Labels) -> Labels:
    """Puts new images into the groups that are known, or into others."""
    new = known < 0
    count = int(known.max(initial=-1)) + 1
    labels = known.copy()
    labels[new] = count + np.arange(np.count_nonzero(new))
    near = np.flatnonzero(_may_be_near(hashes, hashes[new], distance) | new)
    found = group_by_hash(hashes[near], distance)
    names = int(labels.max(initial=-1)) + 1
    joined = Joined(names + len(near))
    joined.join(labels[near], names + found)
    return np.unique(joined.labels()[labels], return_inverse=True)[1].astype(np.int64)


def _may_be_near(hashes: Hashes, new: Hashes, distance: int) -> NDArray[np.bool_]:
    """Returns which hashes have a key in common with a new one."""

    def cost(bits: float) -> float:
        return _LOOK_UP + _GROUP * min(1.0, len(new) / 2 ** min(bits, _TABLE_BITS))

    near = np.zeros(len(hashes), bool)
    for key in keys(best_slices(distance, cost), distance):
        table = np.zeros(2**_TABLE_BITS, bool)
        table[key.of(new, _TABLE_BITS)] = True
        near |= table[key.of(hashes, _TABLE_BITS)]
    return near


def _runs(values: NDArray[Any]) -> tuple[Labels, Labels]:
    """Returns where runs of equal values begin and end."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    bounds = np.concatenate([[0], changes, [len(values)]]) if len(values) else np.empty(0, np.int64)
    return bounds[:-1], bounds[1:]
