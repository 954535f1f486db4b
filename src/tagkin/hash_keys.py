"""Keys by which hashes that differ in few bits are found without comparing all of them.

The bits are cut into slices. Two hashes within d bits agree in all but d of the slices (the
pigeonhole principle behind multi-index hashing; Norouzi, Punjani and Fleet, 2012), so for one of
the choices of that many slices they have the same bits there: the same key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64

#: Keys that are tried at most: each is a pass over all hashes.
MOST_KEYS = 1000

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Key:
    """One choice of slices.

    Attributes:
        slices: First bit and width of all slices, those of the key first.
        bits: Width of the key.
    """

    slices: tuple[tuple[int, int], ...]
    bits: int

    def moved(self, hashes: Hashes) -> Hashes:
        """Returns hashes with other places for their bits: those of the key are the highest."""
        result = np.zeros_like(hashes)
        top = HASH_BITS
        for first, width in self.slices:
            top -= width
            result |= _cut(hashes, first, width) << np.uint64(top)
        return result

    def back(self, moved: Hashes) -> Hashes:
        """Returns hashes of which `moved` was made."""
        result = np.zeros_like(moved)
        top = HASH_BITS
        for first, width in self.slices:
            top -= width
            result |= _cut(moved, top, width) << np.uint64(first)
        return result

    def prefix(self, moved: Hashes) -> Hashes:
        """Returns the keys of what `moved` made."""
        return moved >> np.uint64(HASH_BITS - self.bits) if self.bits else np.zeros_like(moved)

    def of(self, hashes: Hashes, most_bits: int) -> Hashes:
        """Returns the key of each hash, or the lowest bits of it."""
        result = np.zeros_like(hashes)
        top = 0
        for first, width in self.slices:
            if top < min(self.bits, most_bits):
                result |= _cut(hashes, first, width) << np.uint64(top)
                top += width
        return result & np.uint64(2**most_bits - 1)


def keys(slices: int, distance: int) -> Iterator[Key]:
    """Yields all keys of so many slices; hashes within the distance have one in common."""
    bounds = [round(i * HASH_BITS / slices) for i in range(slices + 1)]
    parts = [(first, last - first) for first, last in pairwise(bounds)]
    for chosen in combinations(parts, slices - distance):
        others = tuple(part for part in parts if part not in chosen)
        yield Key(chosen + others, sum(width for _, width in chosen))


def best_slices(distance: int, cost_of_pass: Callable[[float], float]) -> int:
    """Returns into how many slices to cut hashes.

    Args:
        distance: Bits in which two hashes may differ.
        cost_of_pass: What a pass costs with a key of so many bits.
    """

    def cost(slices: int) -> float:
        return comb(slices, distance) * cost_of_pass(HASH_BITS * (1 - distance / slices))

    few = [n for n in range(max(1, distance), HASH_BITS + 1) if comb(n, distance) <= MOST_KEYS]
    return min(few or [distance], key=cost)


def _cut(hashes: Hashes, first: int, width: int) -> Hashes:
    return (hashes >> np.uint64(first)) & np.uint64((1 << width) - 1)
