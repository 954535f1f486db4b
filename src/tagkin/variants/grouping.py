"""From pairs to groups that can be merged."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from rapidfuzz.distance import OSA

from tagkin.variants.folding import Form
from tagkin.variants.lexicon import NO_LEXICON, Lexicon
from tagkin.variants.proposals import Tier
from tagkin.variants.scoring import VARIANT

LARGEST_GROUP = 12
_LARGEST_SAFE = 6
"""More names for one thing are rare enough to deserve a look."""
_LEAST_MEAN = 0.5
"""For three and more: a third tag that fits one of two by halves is a sibling more often."""
LARGEST_COMPLETED = 40
_SLIPS = 2
_TRIPLED = re.compile(r"([^\W\d_])\1\1")

Pair = tuple[int, int]


def components(pairs: Iterable[Pair]) -> list[list[int]]:
    """Connected components, each sorted, in order of their first member."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    members: dict[int, list[int]] = defaultdict(list)
    for node in sorted(parent):
        members[root(node)].append(node)
    return [members[first] for first in sorted(members)]


def average_linkage(members: Sequence[int], probability: Mapping[Pair, float]) -> list[list[int]]:
    """Merges the two groups of the highest mean probability until it falls below that of a variant.

    Single linkage would chain africa - america - american into one group; the mean over all pairs
    asks each newcomer to fit everybody.

    Args:
        members: Nodes of one component.
        probability: Of (low, high) pairs of members; those missing count as 0, and minus infinity
            keeps two members in different groups.

    Returns:
        Groups of two or more, none larger than `LARGEST_GROUP`.
    """
    groups: dict[int, list[int]] = {member: [member] for member in members}
    total: dict[Pair, float] = dict(probability)
    while total:
        mean, one, other = max(
            (value / (len(groups[low]) * len(groups[high])), -low, -high)
            for (low, high), value in total.items()
        )
        low, high = -one, -other
        if mean < VARIANT:
            break
        size = len(groups[low]) + len(groups[high])
        if size > LARGEST_GROUP or (size > 2 and mean < _LEAST_MEAN):
            del total[low, high]
            continue
        groups[low] += groups.pop(high)
        del total[low, high]
        for pair in [pair for pair in total if high in pair]:
            third = pair[0] if pair[1] == high else pair[1]
            merged = (min(low, third), max(low, third))
            total[merged] = total.get(merged, 0.0) + total.pop(pair)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def tier(
    group: Sequence[int],
    probability: Mapping[Pair, float],
    is_safe: Callable[[Pair], bool],
) -> Tier:
    """``safe`` if it is small, every pair of it is safe, and nobody in it has a variant outside.

    Args:
        group: Sorted nodes.
        probability: Of the pairs of the component; a variant outside of it there is none.
        is_safe: Whether a pair's evidence is strict enough.
    """
    if len(group) > _LARGEST_SAFE:
        return "suggested"
    pairs = {(low, high) for place, low in enumerate(group) for high in group[place + 1 :]}
    inside = set(group)
    leaves = any(
        value >= VARIANT and len(inside.intersection(pair)) == 1
        for pair, value in probability.items()
    )
    return "safe" if not leaves and all(is_safe(pair) for pair in pairs) else "suggested"


def canonical(
    group: Sequence[int],
    forms: Sequence[Form],
    counts: Sequence[int],
    lexicon: Lexicon = NO_LEXICON,
) -> int:
    """The member to keep: on the most images, unless its very looks speak against it.

    A leet form, tripled letters, stray capitals, or a word that no dictionary has where a close
    one does, lose to a plain form whatever the counts.
    """
    members = [forms[node] for node in group]
    plain = [
        node
        for node in group
        if not (_odd(forms[node], members) or _misspelled(forms[node], members, lexicon))
    ] or list(group)
    return min(plain, key=lambda node: (-counts[node], len(forms[node].tag), forms[node].tag))


def _misspelled(form: Form, group: Sequence[Form], lexicon: Lexicon) -> bool:
    return not lexicon.is_word(form) and any(
        other.key != form.key
        and OSA.distance(form.key, other.key, score_cutoff=_SLIPS) <= _SLIPS
        and lexicon.is_word(other)
        for other in group
    )


def _odd(form: Form, group: Sequence[Form]) -> bool:
    leet = any(form.numbers != other.numbers and form.leet & other.accents for other in group)
    tripled = _TRIPLED.search(form.key) is not None and any(
        _TRIPLED.search(other.key) is None for other in group
    )
    body = form.tag[1:]
    capitals = body != body.lower() and form.tag != form.tag.upper()
    return leet or tripled or (capitals and any(other.tag == form.lower for other in group))
