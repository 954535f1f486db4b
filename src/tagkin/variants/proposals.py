"""What the search for variants returns: pairs, groups, and both together."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tagkin.reliability import Reliability

Relation = Literal["variant", "implication", "related", "same-images"]
Tier = Literal["safe", "suggested"]
Evidence = dict[str, float | int | str]


@dataclass(frozen=True)
class TagPair:
    """How two tags relate and why it is thought so.

    Attributes:
        a: The tag on more images.
        b: The other tag.
        relation: ``variant`` (both mean the same), ``implication`` (images of the rarer tag nearly
            all carry the other), ``same-images`` (both sit on the same images, whatever they
            mean), or ``related`` (alike in looks or company only).
        probability: That the two mean the same; None from a baseline, which has no such notion.
        evidence: Plain values to show or to store. See `tagkin.variants.explain`.
    """

    a: str
    b: str
    relation: Relation
    probability: float | None
    evidence: Evidence


@dataclass(frozen=True)
class TagGroup:
    """Tags proposed for merging into one.

    Attributes:
        id: Short and stable: depends on the members only.
        canonical: The member to keep.
        members: All tags of the group, those on more images first.
        counts: Images of each member.
        tier: ``safe`` groups differ by a sure rule of spelling and nothing speaks against them;
            ``suggested`` ones want a human eye.
    """

    id: str
    canonical: str
    members: tuple[str, ...]
    counts: dict[str, int]
    tier: Tier


@dataclass(frozen=True)
class ContentCheck:
    """How well images told planted pairs from others, on pairs that the model had not seen.

    Attributes:
        planted: Pairs made of one tag.
        others: Pairs of two tags unlike in spelling.
        roc_auc: Probability that a planted pair scores above another one; 0.5 is chance.
        reliability: Probabilities beside what was true, at this proportion of both kinds.
    """

    planted: int
    others: int
    roc_auc: float
    reliability: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for JSON."""
        return {
            "planted": self.planted,
            "others": self.others,
            "roc_auc": self.roc_auc,
            "reliability": self.reliability.to_dict(),
        }


@dataclass(frozen=True)
class Proposals:
    """The outcome of one search.

    Attributes:
        method: The method that made it.
        groups: Safe groups first, then by the number of images that a merge would touch.
        pairs: Variants first, the surest first; then the other relations.
        check: What the images' evidence is worth in this collection; None from a baseline, or where
            there was too little to learn it from.
    """

    method: str
    groups: tuple[TagGroup, ...]
    pairs: tuple[TagPair, ...]
    # Its arrays have no plain equality, and what it says follows from the same data.
    check: ContentCheck | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Lists, dicts and plain values only, ready for JSON."""
        groups = [{**asdict(group), "members": list(group.members)} for group in self.groups]
        return {
            "method": self.method,
            "groups": groups,
            "pairs": [asdict(pair) for pair in self.pairs],
            "content_check": self.check.to_dict() if self.check else None,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Proposals":
        """Makes them again of what `to_dict` returned.

        Raises:
            KeyError, TypeError: It is something else.
        """
        groups = [TagGroup(**{**one, "members": tuple(one["members"])}) for one in stored["groups"]]
        pairs = [TagPair(**one) for one in stored["pairs"]]
        return cls(stored["method"], tuple(groups), tuple(pairs))


def group_id(members: tuple[str, ...]) -> str:
    """Ten hex digits that depend on the set of members only."""
    # A length before each member keeps ("a b",) and ("a", "b") apart whatever a tag contains.
    text = "".join(f"{len(tag)}:{tag}" for tag in sorted(members))
    # "surrogatepass": a tag read from a damaged file may hold half a surrogate pair.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
