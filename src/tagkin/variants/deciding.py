"""Decisions on tags, checked against the library and against what was decided before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

from tagkin.decisions import Decision, Link, NewDecision, in_force, links, undone
from tagkin.errors import DecisionError, UnknownTagError
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.spellings import near_spellings
from tagkin.variants.explain import explain
from tagkin.variants.importing import check_import
from tagkin.variants.proposals import Proposals, TagGroup, TagPair
from tagkin.variants.stored import load_proposals
from tagkin.vocabulary import TagRules


@dataclass(frozen=True)
class Decided:
    """What came of a request.

    Attributes:
        decisions: What was stored, in order.
        skipped: What was not stored, in words, because it holds already or contradicts something.
        notes: What the owner should know about what was stored, in words.
    """

    decisions: tuple[Decision, ...]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class TagDecisions:
    """Takes decisions on the tags of a library; one object sees the library as it was when made.

    Tags may be given in any spelling that the library's rules fold to the same. Each method stores
    all of its decisions or none.

    Args:
        library: The library.
        settings: Whose rules hold.
        counts: Images of each tag as the rules see it, from whoever knows them; counted when they
            are needed if None.
    """

    def __init__(
        self, library: Library, settings: Settings, *, counts: Mapping[str, int] | None = None
    ) -> None:
        self.library = library
        self._images_of = counts
        self.taken = library.decisions()
        self.rules = TagRules.from_settings(settings, self.taken)
        self.links = links(self.taken)

    def accept(self, groups: Sequence[str], *, canonical: str | None = None) -> Decided:
        """Merges the tags of proposed groups.

        Args:
            groups: For each group its id, or a tag that is in no other group.
            canonical: The member to keep, for a single group; else the one proposed.

        Raises:
            DecisionError: There is no such group, or a decision in force keeps its tags apart.
        """
        found = [self._group(name) for name in groups]
        if canonical is not None and len(found) != 1:
            raise DecisionError("a canonical tag can be named for one group at a time only")
        new: list[NewDecision] = []
        skipped: list[str] = []
        for group in {group.id: group for group in found}.values():
            keep = self._member(group, canonical) if canonical else self._now(group.canonical)
            self._refuse_contradiction(group.members)
            new += self._merge(group.members, keep, skipped)
        return self._store(new, skipped)

    def accept_safe(self) -> Decided:
        """Merges the tags of all proposed groups of the tier ``safe``.

        Groups in which a decision taken since keeps tags apart are skipped.

        Raises:
            DecisionError: Nothing was proposed yet.
        """
        new: list[NewDecision] = []
        skipped: list[str] = []
        for group in self._proposals().groups:
            if group.tier != "safe":
                continue
            if against := self._contradiction(group.members):
                skipped.append(f"{_tags(group.members)}: {describe_link(against)}")
            else:
                new += self._merge(group.members, self._now(group.canonical), skipped)
        return self._store(new, skipped)

    def merge(self, tags: Sequence[str], *, canonical: str | None = None) -> Decided:
        """Merges tags, whether that was proposed or not.

        Args:
            tags: One or more.
            canonical: The name to keep, which may be new; if None, the tag on the most images.

        Raises:
            DecisionError: There is nothing to merge, or a decision in force keeps tags apart.
            UnknownTagError: No image carries one of the tags.
        """
        names = [self._known(tag) for tag in tags]
        keep = self._plain(canonical) if canonical else max(names, key=lambda n: self._counts[n])
        if len({*names, keep}) < 2 and len({self._plain(tag) for tag in (*tags, keep)}) < 2:
            raise DecisionError("a merge needs two different tags, or one and another name for it")
        self._refuse_contradiction([*names, keep])
        skipped: list[str] = []
        decided = self._store(self._merge(names, keep, skipped), skipped)
        return replace(decided, notes=self._new_names(decided, keep))

    def reject_group(self, name: str) -> Decided:
        """Says that the tags of a proposed group are different.

        Raises:
            DecisionError: There is no such group, or a merge in force says otherwise.
        """
        return self._reject(self._group(name).members)

    def reject(self, tags: Sequence[str]) -> Decided:
        """Says that tags are different: they are not proposed again, nor ever in one group.

        Raises:
            DecisionError: Fewer than two tags, or a merge in force says otherwise.
            UnknownTagError: No image carries one of the tags.
        """
        for tag in tags:
            self._known(tag)
        return self._reject(tags)

    def imply(self, tag: str, implied: str) -> Decided:
        """Says that every image of a tag has another tag as well.

        Args:
            tag: The more special tag.
            implied: The more general one, which may be new.

        Raises:
            DecisionError: Both are one tag.
            UnknownTagError: No image carries the tag.
        """
        self._known(tag)
        decided = self._pair("imply", tag, implied)
        return replace(decided, notes=self._new_names(decided, self._now(implied)))

    def relate(self, tag: str, other: str) -> Decided:
        """Says that two tags belong together without being one; nothing follows from it.

        Raises:
            DecisionError: Both are one tag.
            UnknownTagError: No image carries one of them.
        """
        for one in (tag, other):
            self._known(one)
        return self._pair("related", tag, other)

    def undo(self, numbers: Sequence[int] = ()) -> Decided:
        """Takes decisions back; undoing an undo brings back what it took.

        Args:
            numbers: Of the decisions; if none, the last that is in force.

        Raises:
            DecisionError: There is none, or one was undone before.
        """
        if not numbers:
            standing = in_force(self.taken)
            if not standing:
                raise DecisionError("there is no decision to undo")
            numbers = [standing[-1].number]
        taken_back = undone(self.taken)
        for number in numbers:
            if not 1 <= number <= len(self.taken):
                raise DecisionError(
                    f"there is no decision number {number}: 'tagkin variants list' shows them all"
                )
            if number in taken_back:
                raise DecisionError(
                    f"decision {number} was undone by number {taken_back[number]}: "
                    "undo that one to bring it back"
                )
        return self._store([NewDecision("undo", undoes=one) for one in dict.fromkeys(numbers)], [])

    def import_links(self, read: Sequence[Link]) -> Decided:
        """Takes the decisions that a file holds, all or none; what holds already is skipped.

        Args:
            read: From a parser of `tagkin.writers`; their numbers are lines of the file.

        Raises:
            ExchangeError: Some contradict each other, or what was decided before.
        """
        new, skipped = check_import(read, self.taken, self.rules)
        return self._store(new, skipped)

    # What the names of a request mean ------------------------------------------------------

    @cached_property
    def _counts(self) -> Mapping[str, int]:
        if self._images_of is not None:
            return self._images_of
        counts: Counter[str] = Counter()
        for raw, count in self.library.tag_counts(self.rules).items():
            counts[self.rules.resolve(raw)] += count
        return counts

    def _plain(self, tag: str) -> str:
        """Returns a tag folded and after the aliases, but before the decisions."""
        name = self.rules.steps(tag)[1]
        if not name:
            raise DecisionError(f"the tag {tag!r} is empty: name a tag with letters in it")
        return name

    def _now(self, tag: str) -> str:
        self._plain(tag)
        return self.rules.resolve(tag)

    def _new_names(self, decided: Decided, name: str) -> tuple[str, ...]:
        if not decided.decisions or name in self._counts:
            return ()
        return (f"no image carries {name!r} so far: it is a new tag",)

    def _known(self, tag: str) -> str:
        name = self._now(tag)
        if name not in self._counts:
            hint = near_spellings(name, list(self._counts))
            raise UnknownTagError(f"no image carries the tag {tag!r}{hint}")
        return name

    @cached_property
    def _stored(self) -> Proposals | None:
        return load_proposals(self.library)

    def _proposals(self) -> Proposals:
        if self._stored is None:
            raise DecisionError("nothing was proposed yet: run 'tagkin variants' first")
        return self._stored

    def _group(self, name: str) -> TagGroup:
        groups = self._proposals().groups
        tag = self.rules.fold(name)
        by_id = [group for group in groups if group.id == name]
        found = by_id or [group for group in groups if tag in group.members]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(group.id for group in found)
            raise DecisionError(f"the tag {name!r} is in several groups: name one of {ids}")
        raise DecisionError(
            f"no proposed group has the id or the tag {name!r}: 'tagkin variants' lists the "
            "groups, and 'tagkin variants merge' joins tags that nobody proposed"
        )

    def _member(self, group: TagGroup, canonical: str) -> str:
        tag = self.rules.fold(canonical)
        if tag not in group.members:
            raise DecisionError(
                f"{canonical!r} is not in the group {_tags(group.members)}: choose a member, or "
                "take 'tagkin variants merge' for another name"
            )
        return tag

    # What is stored ------------------------------------------------------------------------

    def _merge(self, tags: Sequence[str], canonical: str, skipped: list[str]) -> list[NewDecision]:
        names = dict.fromkeys(self.rules.resolve(tag) for tag in tags)
        if not set(names) - {canonical}:
            skipped.append(f"{_tags((*tags, canonical))}: one tag already")
            return []
        pairs = [(canonical, name) for name in (*names, *tags) if name != canonical]
        evidence, chances = self._grounds(pairs)
        lowest = min(chances, default=None)
        every = tuple(dict.fromkeys((*names, canonical)))
        return [NewDecision("merge", every, canonical, evidence=evidence, probability=lowest)]

    def _reject(self, tags: Sequence[str]) -> Decided:
        names = tuple(dict.fromkeys(self.rules.resolve(tag) for tag in tags))
        if len(names) < len({self._plain(tag) for tag in tags}) or len(names) < 2:
            raise DecisionError(self._one_tag(tags))
        pairs = list(combinations(names, 2))
        evidence, chances = self._grounds(pairs)
        highest = max(chances, default=None)
        return self._unless_known(
            NewDecision("reject", names, evidence=evidence, probability=highest)
        )

    def _pair(self, kind: Literal["imply", "related"], tag: str, other: str) -> Decided:
        names = self._now(tag), self._now(other)
        if names[0] == names[1]:
            raise DecisionError(self._one_tag((tag, other)))
        evidence, chances = self._grounds([names])
        chance = max(chances, default=None)
        return self._unless_known(NewDecision(kind, names, evidence=evidence, probability=chance))

    def _unless_known(self, new: NewDecision) -> Decided:
        """Stores a decision unless the same holds for each of its pairs with as good a reason."""
        holding = [
            next((link for link in self.links if _says(link, new, pair)), None)
            for pair in combinations(new.tags, 2)
        ]
        known = [link.number for link in holding if link]
        if len(known) == len(holding):
            return Decided((), (f"{_tags(new.tags)}: decided already, by number {known[0]}",))
        return self._store([new], [])

    def _store(self, new: Sequence[NewDecision], skipped: Sequence[str]) -> Decided:
        return Decided(tuple(self.library.decide_all(new)), tuple(skipped))

    def _contradiction(self, tags: Sequence[str]) -> Link | None:
        names = {self.rules.resolve(tag) for tag in tags}
        for link in self.links:
            ends = {self.rules.resolve(link.tag), self.rules.resolve(link.other)}
            if link.kind != "merge" and len(ends) == 2 and ends <= names:
                return link
        return None

    def _refuse_contradiction(self, tags: Sequence[str]) -> None:
        if against := self._contradiction(tags):
            raise DecisionError(
                f"{describe_link(against)}: to merge them, first take that back with 'tagkin "
                f"variants undo {against.number}'"
            )

    def _one_tag(self, tags: Sequence[str]) -> str:
        merges = {link.tag: link.number for link in self.links if link.kind == "merge"}
        numbers = [merges[name] for tag in tags if (name := self._plain(tag)) in merges]
        if not numbers:
            return f"{_tags(tags)}: that is one tag; name two that are different"
        return (
            f"{_tags(tags)}: merged into one tag by decision {numbers[0]}; first take that back "
            f"with 'tagkin variants undo {numbers[0]}'"
        )

    def _grounds(self, pairs: Sequence[tuple[str, str]]) -> tuple[str, list[float]]:
        """Returns what the stored proposals say of some pairs, and their probabilities."""
        named = [
            pair
            for tags in dict.fromkeys(map(frozenset, pairs))
            if (pair := self._proposed.get(tags))
        ]
        chances = [pair.probability for pair in named if pair.probability is not None]
        if len(named) == 1:
            return explain(named[0]), chances
        return " | ".join(f"{pair.a}, {pair.b}: {explain(pair)}" for pair in named), chances

    @cached_property
    def _proposed(self) -> dict[frozenset[str], TagPair]:
        pairs = self._stored.pairs if self._stored else ()
        return {frozenset((pair.a, pair.b)): pair for pair in pairs}


def describe_link(link: Link) -> str:
    """Says in words what is in force between two tags."""
    says = {
        "merge": f"{link.tag!r} is merged into {link.other!r}",
        "reject": f"{link.tag!r} and {link.other!r} are different",
        "imply": f"{link.tag!r} implies {link.other!r}",
        "related": f"{link.tag!r} and {link.other!r} are related",
    }
    return f"decision {link.number} says that {says[link.kind]}"


def _says(link: Link, new: NewDecision, pair: tuple[str, str]) -> bool:
    same = (link.tag, link.other) == pair
    if new.kind != "imply":
        same = {link.tag, link.other} == set(pair)
    # A rejection at a lower probability than today's wouldn't keep the pair away.
    as_good = link.probability is None or (
        new.probability is not None and link.probability >= new.probability
    )
    return link.kind == new.kind and same and (new.kind != "reject" or as_good)


def _tags(tags: Sequence[str]) -> str:
    return ", ".join(repr(tag) for tag in dict.fromkeys(tags))
