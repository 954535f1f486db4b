"""Which proposals wait for a decision, and which were decided."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from tagkin.decisions import Decision, in_force, links
from tagkin.variants.apart import apart_pairs, stays_apart
from tagkin.variants.proposals import Proposals, TagGroup, TagPair, group_id
from tagkin.vocabulary import TagRules

Settled = Callable[[str, str, float | None], bool]


@dataclass(frozen=True)
class Item:
    """A proposal and what is known of it.

    Attributes:
        group: The tags; two for what isn't a merge.
        relation: What was proposed.
        pairs: Its pairs of which something is known.
        probability: The lowest of the pairs; None if nobody worked it out.
        decided: Whether nothing is left to decide.
    """

    group: TagGroup
    relation: str
    pairs: tuple[TagPair, ...]
    probability: float | None
    decided: bool


@dataclass(frozen=True)
class ReviewQueue:
    """All proposals, the most certain first.

    Attributes:
        items: By id.
        by_relation: Ids by relation and whether they are decided.
        decisions: In force, by the tags that they name.
    """

    items: Mapping[str, Item]
    by_relation: Mapping[tuple[str, bool], tuple[str, ...]]
    decisions: Mapping[str, tuple[Decision, ...]]

    @classmethod
    def of(
        cls, proposals: Proposals | None, decisions: Iterable[Decision], rules: TagRules
    ) -> "ReviewQueue":
        """Sorts proposals by what was decided since.

        Args:
            proposals: The last ones; None if there are none.
            decisions: All decisions of the library.
            rules: With these decisions.
        """
        taken = list(decisions)
        named: dict[str, list[Decision]] = defaultdict(list)
        for decision in in_force(taken):
            for tag in decision.tags:
                named[tag].append(decision)
        apart = apart_pairs(links(taken), rules.resolve)

        def settled(a: str, b: str, now: float | None) -> bool:
            names = frozenset((rules.resolve(a), rules.resolve(b)))
            return len(names) == 1 or (names in apart and stays_apart(apart[names], now))

        items = [_item(*found, settled) for found in _all(proposals)]
        items.sort(key=_certainty)
        ids: dict[tuple[str, bool], list[str]] = defaultdict(list)
        for item in items:
            ids[item.relation, item.decided].append(item.group.id)
        return cls(
            {item.group.id: item for item in items},
            {key: tuple(some) for key, some in ids.items()},
            {tag: tuple(some) for tag, some in named.items()},
        )

    def ids(self, relation: str, decided: bool) -> tuple[str, ...]:
        """Returns the ids of the proposals of a relation, the most certain first."""
        return self.by_relation.get((relation, decided), ())

    def decisions_between(self, tags: Iterable[str]) -> tuple[Decision, ...]:
        """Returns the decisions in force that name at least two of some tags."""
        seen: dict[int, list[Decision]] = defaultdict(list)
        for tag in dict.fromkeys(tags):
            for decision in self.decisions.get(tag, ()):
                seen[decision.number].append(decision)
        return tuple(found[0] for _, found in sorted(seen.items()) if len(found) > 1)


def _all(
    proposals: Proposals | None,
) -> Iterable[tuple[TagGroup, str, tuple[TagPair, ...]]]:
    """Yields groups and other pairs, each with the pairs of its tags."""
    if proposals is None:
        return
    by_tags = {frozenset((pair.a, pair.b)): pair for pair in proposals.pairs}
    for group in proposals.groups:
        keys = (frozenset(two) for two in combinations(group.members, 2))
        yield group, "variant", tuple(by_tags[key] for key in keys if key in by_tags)
    for pair in proposals.pairs:
        if pair.relation != "variant":
            tags = (pair.a, pair.b)
            counts = {
                pair.a: int(pair.evidence.get("count_a", 0)),
                pair.b: int(pair.evidence.get("count_b", 0)),
            }
            group = TagGroup(group_id(tags), pair.a, tags, counts, "suggested")
            yield group, pair.relation, (pair,)


def _item(group: TagGroup, relation: str, pairs: tuple[TagPair, ...], settled: Settled) -> Item:
    chance = {frozenset((pair.a, pair.b)): pair.probability for pair in pairs}
    known = [one for one in chance.values() if one is not None]
    decided = all(
        settled(a, b, chance.get(frozenset((a, b)))) for a, b in combinations(group.members, 2)
    )
    return Item(group, relation, pairs, min(known, default=None), decided)


def _certainty(item: Item) -> tuple[float, bool, int, str]:
    chance = -1.0 if item.probability is None else item.probability
    return -chance, item.group.tier != "safe", -sum(item.group.counts.values()), item.group.id
