"""Tags that were decided to be different stay apart, until there is much better evidence."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from math import log
from typing import Final

from tagkin.decisions import Link
from tagkin.variants.proposals import Proposals, TagGroup, group_id

RECONSIDER_LOG_ODDS: Final = 2.0
"""A rejected pair may be proposed again when its log odds have risen by this: odds 7.4 times as
high. Another seed or a few new images move a pair by less; many new images, or a better backbone,
can move it by more, and then the owner's answer may have changed as well."""

_SMALLEST = 1e-6  # beyond it probabilities are not told apart

Apart = Mapping[frozenset[str], float | None]


def stays_apart(before: float | None, now: float | None) -> bool:
    """Returns whether a pair that was decided to be different is not to be proposed.

    Args:
        before: Its probability when that was decided; None if it is never to come back.
        now: Its probability; None if the method has no such notion or didn't look at it.
    """
    if before is None or now is None:
        return True
    return _log_odds(now) - _log_odds(before) < RECONSIDER_LOG_ODDS


def apart_pairs(
    links: Iterable[Link], resolve: Callable[[str], str]
) -> dict[frozenset[str], float | None]:
    """Returns the pairs that were decided to be no variants, for `tagkin.variants.find_variants`.

    Implied and related tags have been told from variants for good; a rejection can be reconsidered.

    Args:
        links: What is in force.
        resolve: The name of a tag after aliases and merges.
    """
    found: dict[frozenset[str], float | None] = {}
    for link in links:
        pair = frozenset((resolve(link.tag), resolve(link.other)))
        if link.kind == "merge" or len(pair) < 2:
            continue
        chance = link.probability if link.kind == "reject" else None
        earlier = found.get(pair, 0.0)
        found[pair] = None if chance is None or earlier is None else max(chance, earlier)
    return found


def split_apart(proposals: Proposals, apart: Apart) -> Proposals:
    """Takes tags that were decided to be different out of each other's groups.

    For the methods that give no probability: nothing can speak for such a pair again.
    """
    if not apart:
        return proposals
    groups: list[TagGroup] = []
    for group in proposals.groups:
        parts: list[list[str]] = []
        for member in group.members:
            for part in parts:
                if not any(frozenset((member, other)) in apart for other in part):
                    part.append(member)
                    break
            else:
                parts.append([member])
        groups += [group] if len(parts) == 1 else [_part(group, p) for p in parts if len(p) > 1]
    joined = {frozenset(pair) for g in groups for pair in combinations(g.members, 2)}
    pairs = tuple(
        pair
        for pair in proposals.pairs
        if frozenset((pair.a, pair.b)) in joined or pair.relation != "variant"
    )
    return Proposals(proposals.method, tuple(groups), pairs)


def _part(group: TagGroup, members: list[str]) -> TagGroup:
    names = tuple(members)
    kept = group.canonical if group.canonical in names else names[0]
    counts = {tag: group.counts[tag] for tag in names}
    return TagGroup(group_id(names), kept, names, counts, group.tier)


def _log_odds(probability: float) -> float:
    chance = min(max(probability, _SMALLEST), 1 - _SMALLEST)
    return log(chance / (1 - chance))
