"""The default method: candidates, then evidence, then probabilities, then groups."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix
from tagkin.variants.apart import stays_apart
from tagkin.variants.calibration import ContentModel, fit_content
from tagkin.variants.candidates import (
    as_arrays,
    containing_pairs,
    nearest_pairs,
    string_candidates,
)
from tagkin.variants.content import ContentFeatures, Part, content_features
from tagkin.variants.folding import Form, make_form
from tagkin.variants.grouping import (
    LARGEST_COMPLETED,
    Pair,
    average_linkage,
    canonical,
    components,
    tier,
)
from tagkin.variants.incidence import Floats, Incidence, Indices, shared_counts
from tagkin.variants.lexicon import Lexicon, open_lexicon
from tagkin.variants.listing import list_pairs
from tagkin.variants.proposals import Proposals, TagGroup, group_id
from tagkin.variants.scored import Scored
from tagkin.variants.scoring import (
    CONTAINED,
    VARIANT,
    PairTable,
    probabilities,
)
from tagkin.variants.string_evidence import VOUCHED
from tagkin.variants.strings import compare_all
from tagkin.variants.visual import VisualSpace, build_space

_SAFE_PROBABILITY = 0.8
_SAFE_CONTENT = -1.0
_UNLIKE_STRINGS = 1.0
_MOST_NEGATIVES = 4000


class EvidenceSearch:
    """One search for variants; a class because its steps share what was learnt on the way."""

    def __init__(
        self,
        incidence: Incidence,
        vectors: Matrix | None,
        seed: int,
        parts: Sequence[Part] = ("context", "visual"),
        apart: Mapping[frozenset[str], float | None] | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        """Makes the spaces in which tags are compared.

        Args:
            incidence: T tags over N images.
            vectors: (N, D) float16 or float32, finite, or None.
            seed: Of everything random.
            parts: What counts beside the spelling; fewer tell what each is worth.
            apart: Pairs known to be no variants; see `tagkin.variants.find_variants`.
            lexicon: What is known of the words; None looks them up in what is installed.
        """
        self.incidence = incidence
        self.vectors_given = vectors is not None
        self.space: VisualSpace | None = None
        if vectors is not None:
            self.space = build_space(incidence, vectors)
        self.parts = tuple(part for part in parts if part != "visual" or self.space is not None)
        self.forms: list[Form] = [make_form(tag) for tag in incidence.names]
        self.lexicon = open_lexicon(self.forms) if lexicon is None else lexicon
        self.seed = seed
        self.model: ContentModel | None = None
        place = {tag: node for node, tag in enumerate(incidence.names)}
        self.apart: dict[Pair, float | None] = {}
        for tags, before in (apart or {}).items():
            nodes = sorted(place[tag] for tag in tags if tag in place)
            if len(nodes) == 2:
                self.apart[nodes[0], nodes[1]] = before

    def run(self) -> Proposals:
        """Finds, weighs and groups."""
        scored = self._score(*as_arrays(self._candidates()))
        probability, held = self._held_apart(scored.by_pair())
        missing = _missing_inside(probability)
        if missing:
            # A spelling and its kin's kin were perhaps no candidates, but grouping asks for them.
            scored = scored.joined(self._score(*as_arrays(missing)))
            probability, held = self._held_apart(scored.by_pair())
        groups = self._groups(scored, probability)
        pairs = list_pairs(self.incidence, scored, vectors_given=self.vectors_given, leave_out=held)
        check = self.model.check if self.model else None
        return Proposals("evidence", tuple(groups), tuple(pairs), check)

    def _held_apart(
        self, probability: dict[Pair, float]
    ) -> tuple[dict[Pair, float], frozenset[Pair]]:
        """Takes every chance from pairs that were decided to be different, and names them."""
        held = frozenset(
            pair
            for pair, before in self.apart.items()
            if stays_apart(before, probability.get(pair))
        )
        # No mean with minus infinity in it is high enough: two groups with such a pair between
        # them never become one, whatever third tags speak for it.
        return {**probability, **dict.fromkeys(held, -math.inf)}, held

    def _candidates(self) -> set[Pair]:
        pairs = string_candidates(self.forms, self.lexicon)
        pairs |= containing_pairs(self.incidence, CONTAINED)
        if self.space is not None:
            pairs |= nearest_pairs(self.space.units)
        return pairs

    def _score(self, a: Indices, b: Indices) -> Scored:
        forms, counts = self.forms, self.incidence.counts
        strings = compare_all(
            [(forms[one], forms[other]) for one, other in zip(a.tolist(), b.tolist(), strict=True)],
            self.lexicon,
        )
        features = content_features(self.incidence, self.space, a, b)
        string_llr = np.array([found.llr for found in strings], np.float64)
        sure = np.array([found.sure for found in strings], np.bool_)
        vouched = np.array([found.spelling in VOUCHED for found in strings], np.bool_)
        if self.model is None:
            self.model = self._fit(features, string_llr, sure)
        table = PairTable(
            a=a,
            b=b,
            count_a=counts[a],
            count_b=counts[b],
            shared=shared_counts(self.incidence, a, b),
            string_llr=string_llr,
            sure=sure,
            vouched=vouched,
            content_llr=self.model.llr(features),
        )
        return Scored(table, strings, features, probabilities(table, len(forms)))

    def _fit(
        self, features: ContentFeatures, string_llr: Floats, sure: NDArray[np.bool_]
    ) -> ContentModel:
        """Learns the worth of content; see `calibration`."""
        rng = np.random.default_rng(self.seed)
        unlike = np.flatnonzero((string_llr <= _UNLIKE_STRINGS) & features.compared)
        if len(unlike) > _MOST_NEGATIVES:
            unlike = np.sort(rng.choice(unlike, _MOST_NEGATIVES, replace=False))
        # Candidates are near each other; as many random pairs show what is far.
        tags = len(self.forms)
        a, b = rng.integers(0, max(tags, 1), (2, len(unlike)))
        random = content_features(
            self.incidence, self.space, np.minimum(a, b)[a != b], np.maximum(a, b)[a != b]
        )
        negatives = ContentFeatures.join([features.rows(unlike), random])
        certain = features.rows(np.flatnonzero(sure))
        return fit_content(self.incidence, self.space, self.parts, negatives, certain, self.seed)

    def _groups(self, scored: Scored, probability: dict[Pair, float]) -> list[TagGroup]:
        table = scored.table
        safe = (
            (scored.probability >= _SAFE_PROBABILITY)
            & table.sure
            & (table.content_llr >= _SAFE_CONTENT)
        )
        safe_pairs = set(zip(table.a[safe].tolist(), table.b[safe].tolist(), strict=True))
        variants = [pair for pair, value in probability.items() if value >= VARIANT]
        counts = self.incidence.counts.tolist()
        groups = []
        kin = components(variants)
        family = {node: number for number, members in enumerate(kin) for node in members}
        local: list[dict[Pair, float]] = [{} for _ in kin]
        for (low, high), value in probability.items():
            if low in family and family[low] == family.get(high):
                local[family[low]][low, high] = value
        for members, near in zip(kin, local, strict=True):
            for group in average_linkage(members, near):
                names = tuple(self.incidence.names[node] for node in group)
                groups.append(
                    TagGroup(
                        id=group_id(names),
                        canonical=self.incidence.names[
                            canonical(group, self.forms, counts, self.lexicon)
                        ],
                        members=names,
                        counts={self.incidence.names[node]: counts[node] for node in group},
                        tier=tier(group, near, safe_pairs.__contains__),
                    )
                )
        return sorted(
            groups,
            key=lambda group: (group.tier != "safe", -sum(group.counts.values()), group.members),
        )


def _missing_inside(probability: dict[Pair, float]) -> set[Pair]:
    """Pairs inside of the components of variants that have no probability yet."""
    variants = [pair for pair, value in probability.items() if value >= VARIANT]
    return {
        (low, high)
        for members in components(variants)
        if len(members) <= LARGEST_COMPLETED
        for place, low in enumerate(members)
        for high in members[place + 1 :]
    } - probability.keys()
