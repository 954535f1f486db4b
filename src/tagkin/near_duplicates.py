"""Groups of images that look nearly the same, by their perceptual hashes."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HASH_BITS = 64
_BLOCK = 4096  # rows compared at once; 4096 x 4096 xors take 128 MB


def group_by_hash(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """Joins images whose hashes differ in at most ``distance`` bits, directly or by a chain.

    Exact, without comparing all pairs: two hashes within ``distance`` bits agree in at least one
    of ``distance + 1`` slices of the bits (the pigeonhole principle behind multi-index hashing;
    Norouzi, Punjani and Fleet, 2012), so only hashes that share a slice are compared.

    Args:
        hashes: Perceptual hashes, uint64 of shape (images,).
        distance: Bits in which two hashes of one group may differ.

    Returns:
        Group numbers from 0, int64 of shape (images,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    unique, which = np.unique(hashes, return_inverse=True)
    edges = [_close_pairs(unique, start, stop, distance) for start, stop in _slices(distance + 1)]
    left = np.concatenate([pair[0] for pair in edges])
    right = np.concatenate([pair[1] for pair in edges])
    graph = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(len(unique),) * 2)
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)[which]


def several_of(labels: NDArray[np.integer[Any]]) -> list[NDArray[np.int64]]:
    """Returns the places of each label that two or more have, ascending, by their first."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order]) != 0) + 1
    groups = [group for group in np.split(order.astype(np.int64), starts) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def _slices(count: int) -> list[tuple[int, int]]:
    bounds = [round(i * _HASH_BITS / count) for i in range(count + 1)]
    return list(pairwise(bounds))


def _close_pairs(
    hashes: NDArray[np.uint64], start: int, stop: int, distance: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the pairs of rows that agree in bits start..stop and differ little elsewhere."""
    mask = np.uint64((1 << (stop - start)) - 1)
    keys = (hashes >> np.uint64(start)) & mask
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, last in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        if last - first < 2:
            continue
        bucket = order[first:last]
        for top in range(0, len(bucket), _BLOCK):
            rows = bucket[top : top + _BLOCK]
            for side in range(top, len(bucket), _BLOCK):
                columns = bucket[side : side + _BLOCK]
                differing = np.bitwise_count(hashes[rows, None] ^ hashes[None, columns])
                i, j = np.nonzero(differing <= distance)
                left.append(rows[i])
                right.append(columns[j])
    return np.concatenate(left), np.concatenate(right)
