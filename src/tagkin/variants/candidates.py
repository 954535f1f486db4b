"""Which pairs of tags are worth comparing, found without looking at all of them.

Four sources: equal folded keys and abbreviations, edits within reach of symmetric deletion (the
idea of SymSpell, Wolf Garbe, https://github.com/wolfgarbe/SymSpell), dictionaries, and the nearest
tags by their images.
"""

import itertools
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from tagkin.variants.folding import Form
from tagkin.variants.incidence import Incidence, Indices
from tagkin.variants.lexicon import NO_LEXICON, Lexicon, phrase
from tagkin.variants.plurals import IRREGULAR

_LARGEST_BUCKET = 40
_LONG_WORD = 8
_LONGEST_WORD = 40
_LONGEST_CUT = 6
_MOST_CUT = 3
_LEAST_LINK = 2.0
_MOST_SPELLINGS = 4
"""Tags that differ in separators only, to be compared with each synonym of theirs."""
_SUFFIXES = (
    "ation", "ical", "ment", "ness", "ing", "ion", "ies", "ves", "ity", "ive",
    "ces", "en", "er", "es", "ic", "al", "ed", "fe", "e", "f", "i", "n", "s", "y",
)  # fmt: skip


def string_candidates(forms: Sequence[Form], lexicon: Lexicon = NO_LEXICON) -> set[tuple[int, int]]:
    """Pairs of indices (low, high) of tags whose spelling may be kin.

    Args:
        forms: Folded tags, the most frequent first: where too many share a key, the most
            frequent ones are compared.
        lexicon: Whose synonyms and translations are compared too.
    """
    buckets: dict[str, list[int]] = defaultdict(list)
    for number, form in enumerate(forms):
        for key in _keys(form):
            buckets[key].append(number)
    pairs: set[tuple[int, int]] = set()
    for members in buckets.values():
        pairs.update(_within(members))
    for number, form in enumerate(forms):
        if len(form.tokens) > 1:
            initials = "k" + "".join(token[0] for token in form.tokens)
            for other in buckets.get(initials, [])[:_LARGEST_BUCKET]:
                pairs.add((min(number, other), max(number, other)))
    keys = [form.key for form in forms]
    pairs.update(_abbreviated(forms))
    pairs.update(_linked(forms, lexicon))
    # Digits are never deleted, so that image 1 to image 9999 are no neighbours of each other.
    for low, high in _delete_pairs(keys):
        limit = 2 if min(len(keys[low]), len(keys[high])) >= _LONG_WORD else 1
        if OSA.distance(keys[low], keys[high], score_cutoff=limit) <= limit:
            pairs.add((low, high))
    return pairs


def nearest_pairs(
    units: NDArray[np.float32], neighbours: int = 20, block: int = 2048
) -> set[tuple[int, int]]:
    """Pairs (low, high) of each row with its nearest rows by cosine.

    Args:
        units: (T, d) float32, rows of length one.
        neighbours: Nearest rows of each.
        block: Rows compared with all others at a time.
    """
    total = len(units)
    neighbours = min(neighbours, total - 1)
    pairs: set[tuple[int, int]] = set()
    if neighbours < 1:
        return pairs
    for start in range(0, total, block):
        likeness = units[start : start + block] @ units.T
        rows = np.arange(len(likeness))
        likeness[rows, start + rows] = -np.inf
        best = np.argpartition(-likeness, neighbours - 1, axis=1)[:, :neighbours]
        for row, found in zip((start + rows).tolist(), best.tolist(), strict=True):
            pairs.update((min(row, other), max(row, other)) for other in found)
    return pairs


def containing_pairs(
    incidence: Incidence, share: float, most: int = 5, block: int = 1024
) -> set[tuple[int, int]]:
    """Pairs (low, high) where at least ``share`` of a tag's images carry the other as well.

    Args:
        incidence: The tags and their images.
        share: Least share of the rarer tag's images.
        most: Containing tags kept for each tag, those of the highest lift.
        block: Tags whose co-occurrences are held in memory at a time.
    """
    pairs: set[tuple[int, int]] = set()
    counts = incidence.counts
    for start in range(0, len(counts), block):
        shared = (incidence.by_tag[start : start + block] @ incidence.by_image).tocoo()
        rows = shared.row.astype(np.int64) + start
        columns = shared.col.astype(np.int64)
        # Tags are sorted by count, so the containing tag has the lower index.
        keep = (columns < rows) & (shared.data >= share * counts[rows])
        rows, columns, values = rows[keep], columns[keep], shared.data[keep]
        lift = values / (counts[rows] * counts[columns])
        rank_of: dict[int, int] = defaultdict(int)
        for place in np.lexsort((columns, -lift, rows)):
            row = int(rows[place])
            if rank_of[row] < most:
                rank_of[row] += 1
                pairs.add((int(columns[place]), row))
    return pairs


def as_arrays(pairs: Iterable[tuple[int, int]]) -> tuple[Indices, Indices]:
    """Sorted pairs as two int64 arrays."""
    table = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _linked(forms: Sequence[Form], lexicon: Lexicon) -> Iterator[tuple[int, int]]:
    """Pairs that a dictionary, or the user, says something good of."""
    places: dict[str, list[int]] = defaultdict(list)
    for number, form in enumerate(forms):
        places[phrase(form)].append(number)
    for link in lexicon.links():
        if link.llr < _LEAST_LINK:
            continue
        for one in places.get(link.a, ())[:_MOST_SPELLINGS]:
            for other in places.get(link.b, ())[:_MOST_SPELLINGS]:
                yield min(one, other), max(one, other)


def _abbreviated(forms: Sequence[Form]) -> Iterator[tuple[int, int]]:
    """Tags that are cut short (cam, camera) or join cut words (mapsym, map symbol)."""
    first: dict[str, int] = {}
    for number, form in enumerate(forms):
        first.setdefault(form.key, number)
    for number, form in enumerate(forms):
        for short in _cuts(form.tokens):
            other = first.get(short)
            if other is not None and other != number:
                yield min(number, other), max(number, other)


def _cuts(tokens: tuple[str, ...]) -> Iterator[str]:
    if len(tokens) == 1:
        (word,) = tokens
        yield from (word[:end] for end in range(3, min(len(word) - 1, _LONGEST_CUT + 1)))
    elif len(tokens) <= _MOST_CUT:
        beginnings = [
            [token[:end] for end in range(min(3, len(token)), min(len(token), _LONGEST_CUT) + 1)]
            + ([token] if len(token) > _LONGEST_CUT else [])
            for token in tokens
        ]
        yield from map("".join, itertools.product(*beginnings))


def _keys(form: Form) -> set[str]:
    keys = {"k" + form.key, "l" + form.lower}
    for reading in form.american:
        keys.add("k" + reading)
        keys.add("s" + _stem(reading))
        if reading.endswith("ies"):
            keys.add("s" + _stem(reading[:-3] + "y"))  # activity, whose stem is shorter still
    if len(form.tokens) > 1:
        keys.add("t" + "".join(sorted(form.tokens)))
    if (single := IRREGULAR.get(form.key)) is not None:
        keys.add("k" + single)
    if not form.key.isascii():
        keys.update("s" + _stem(reading) for reading in form.accents)
    return keys


def _stem(word: str) -> str:
    """Strips every ending that a rule of spelling might explain, rather too many than too few."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
    return word.removesuffix("m") if word.endswith("mm") else word


def _delete_pairs(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    # 64-bit hashes in flat arrays take a tenth of the memory of a dict of strings; a collision
    # costs one comparison. Hashes differ from run to run, the pairs that pass the test don't.
    hashes, owners = array("q"), array("l")
    for number, key in enumerate(keys):
        for variant in _deletions(key):
            hashes.append(hash(variant))
            owners.append(number)
    hash_array = np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64)
    owner_array = np.frombuffer(owners, np.dtype("l")) if owners else np.zeros(0, np.int64)
    order = np.lexsort((owner_array, hash_array))
    edges = np.flatnonzero(np.diff(hash_array[order])) + 1
    for members in np.split(owner_array[order], edges):
        if len(members) > 1:
            yield from _within(members.tolist())


def _within(members: list[int]) -> Iterator[tuple[int, int]]:
    members = sorted(set(members))[:_LARGEST_BUCKET]
    for place, low in enumerate(members):
        for high in members[place + 1 :]:
            yield low, high


def _deletions(key: str) -> set[str]:
    if not 3 <= len(key) <= _LONGEST_WORD:
        return set()
    once = set(_delete_one(key))
    if len(key) >= _LONG_WORD:
        once.update({shorter for word in once for shorter in _delete_one(word)})
    return once | {key}


def _delete_one(word: str) -> Iterator[str]:
    for place, character in enumerate(word):
        if not character.isdigit():
            yield word[:place] + word[place + 1 :]
