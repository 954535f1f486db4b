"""How well tag variants are found: Tagkin's evidence beside the published recipes.

python benchmarks/variants.py COLLECTION --work DIR [--plant] [--judged FILE] [--half 0|1]

COLLECTION is a folder with a ``tags.csv``. With ``--plant``, variants of several kinds are made of
its tags and given to part of their images; finding them is the task. With ``--judged``, a CSV file
of ``a,b,verdict,kind`` says which pairs of tags mean the same (``same``), don't (``different``) or
can be seen either way (``either``, which counts neither way). A proposed pair that nobody has
judged counts as wrong, so precision is a lower bound; ``--unread FILE`` writes those down.

Pairs count as proposed if they are in one group. Baselines get the threshold that suits this very
collection best.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from collections_at_hand import prepared
from pages import machine, show
from planting import Plant, Tags, plant

from tagkin.backbones.config import describe_backbone
from tagkin.embeddings import embed
from tagkin.variants import Proposals
from tagkin.variants.baselines import dbscan, fingerprint, jaro_winkler
from tagkin.variants.content import Part
from tagkin.variants.evidence import EvidenceSearch
from tagkin.variants.grouping import components
from tagkin.variants.incidence import Incidence, build_incidence
from tagkin.variants.lexicon import NO_LEXICON, Lexicon
from tagkin.variants.word_lists import installed_word_lists
from tagkin.vocabulary import TagRules

Pair = frozenset[str]
_EPS = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
_LIKENESS = (0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96)
_TOGETHER = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass
class Truth:
    """What is known of pairs of tags.

    Attributes:
        same: Pairs that mean the same.
        different: Pairs known to be different, though alike in some way.
        either: Pairs that count neither way.
        kind: Of the pairs in ``same``.
    """

    same: set[Pair] = field(default_factory=set)
    different: set[Pair] = field(default_factory=set)
    either: set[Pair] = field(default_factory=set)
    kind: dict[Pair, str] = field(default_factory=dict)

    def close(self) -> None:
        """Adds what follows: same as the same is the same."""
        names = sorted({tag for pair in self.same for tag in pair})
        number = {name: place for place, name in enumerate(names)}
        pairs = [tuple(sorted(number[tag] for tag in pair)) for pair in self.same]
        for members in components((low, high) for low, high in pairs):
            for place, low in enumerate(members):
                for high in members[place + 1 :]:
                    pair = frozenset((names[low], names[high]))
                    if pair not in self.different | self.either:
                        self.same.add(pair)
                        self.kind.setdefault(pair, "through a third tag")


@dataclass(frozen=True)
class Score:
    """How proposals agree with the truth."""

    right: int
    wrong: int
    traps: int
    missed: int
    unread: frozenset[Pair]
    found: dict[str, tuple[int, int]]

    @property
    def precision(self) -> float:
        """Share of the proposed pairs that are right."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Share of the pairs to be found that were proposed."""
        return self.right / max(self.right + self.missed, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / max(2 * self.right + self.wrong + self.missed, 1)


def score(proposed: set[Pair], truth: Truth) -> Score:
    counted = proposed - truth.either
    right = counted & truth.same
    kinds: dict[str, list[bool]] = defaultdict(list)
    for pair in truth.same:
        kinds[truth.kind[pair]].append(pair in proposed)
    return Score(
        len(right),
        len(counted - truth.same),
        len(counted & truth.different),
        len(truth.same - proposed),
        frozenset(counted - truth.same - truth.different),
        {kind: (sum(found), len(found)) for kind, found in sorted(kinds.items())},
    )


def grouped_pairs(proposals: Proposals, tier: str | None = None) -> set[Pair]:
    return {
        frozenset((one, other))
        for group in proposals.groups
        if tier in (None, group.tier)
        for place, one in enumerate(group.members)
        for other in group.members[place + 1 :]
    }


def co_occurrence(incidence: Incidence, least: float) -> set[Pair]:
    """Pairs of tags whose rows of co-occurrence counts have a high cosine, joined as they are."""
    together = (incidence.by_tag @ incidence.by_image).toarray().astype(np.float32)
    np.fill_diagonal(together, 0)
    units = together / np.maximum(np.linalg.norm(together, axis=1, keepdims=True), 1e-9)
    names = incidence.names
    return {
        frozenset((names[a], names[b]))
        for a, b in np.argwhere(np.triu(units @ units.T, 1) >= least)
    }


class Methods:
    """The proposals of each method on one collection."""

    def __init__(self, tags: Tags, vectors: Any, least: int, seed: int) -> None:
        self.incidence = build_incidence(tags, least)
        self.vectors, self.seed = vectors, seed

    def evidence(
        self, parts: Sequence[Part], tier: str | None = None, lexicon: Lexicon | None = None
    ) -> set[Pair]:
        """What Tagkin proposes when it looks at some of its evidence only."""
        vectors = self.vectors if "visual" in parts else None
        search = EvidenceSearch(self.incidence, vectors, self.seed, parts, lexicon=lexicon)
        return grouped_pairs(search.run(), tier)

    def rows(self, truth: Truth) -> dict[str, Score]:
        """The table: a score for each method."""
        made = self.incidence

        by_eps = [score(grouped_pairs(dbscan(made, self.vectors, eps, 2)), truth) for eps in _EPS]
        by_cosine = [score(co_occurrence(made, least), truth) for least in _TOGETHER]
        by_likeness = [
            score(grouped_pairs(jaro_winkler(made, least)), truth) for least in _LIKENESS
        ]

        def best(scores: Sequence[Score]) -> Score:
            return max(scores, key=lambda result: result.f1)

        rows = {
            "DBSCAN on mean vectors, eps 0.3": by_eps[_EPS.index(0.3)],
            "DBSCAN, its best eps": best(by_eps),
            "cosine of co-occurrence, its best threshold": best(by_cosine),
            "OpenRefine's fingerprints": score(grouped_pairs(fingerprint(made)), truth),
            "Jaro-Winkler at least 0.92": by_likeness[_LIKENESS.index(0.92)],
            "Jaro-Winkler, its best threshold": best(by_likeness),
        }
        everything: tuple[Part, ...] = get_args(Part)
        rows["Tagkin, spelling alone"] = score(self.evidence(()), truth)
        for part in everything:
            rows[f"Tagkin, spelling and {part}"] = score(self.evidence((part,)), truth)
        for name, lexicon in (
            ("Tagkin, without any word list", NO_LEXICON),
            ("Tagkin, without dictionaries", Lexicon(installed_word_lists())),
        ):
            rows[name] = score(self.evidence(everything, lexicon=lexicon), truth)
        rows["**Tagkin, safe and suggested**"] = score(self.evidence(everything), truth)
        rows["**Tagkin, safe alone**"] = score(self.evidence(everything, "safe"), truth)
        return rows


def load(folder: Path, work: Path) -> tuple[Tags, Any]:
    """Embeds the collection if need be; returns folded tags and vectors of its images."""
    library, settings = prepared(folder, work)
    config = describe_backbone(settings)
    embed(library, config, settings)
    rows, vectors = library.embedded_images(config.fingerprint)
    rules = TagRules.from_settings(settings)
    return [list(rules.resolve_all(row.tags)) for row in rows], vectors


def read_judged(file: Path, half: int | None) -> Truth:
    """Reads judged pairs; of a half, which goes by the pair's spelling, if one is asked for."""
    truth = Truth()
    parts = {"same": truth.same, "different": truth.different, "either": truth.either}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            pair = frozenset((row["a"], row["b"]))
            if half is not None and in_half(pair) != half:
                truth.either.add(pair)  # of no account in this half
                continue
            parts[row["verdict"]].add(pair)
            if row["verdict"] == "same":
                truth.kind[pair] = row["kind"]
    return truth


def in_half(pair: Pair) -> int:
    """Returns 0 or 1, which depends on the tags of a pair and nothing else."""
    return sum(" ".join(sorted(pair)).encode()) % 2


def with_planted(truth: Truth, planted: Sequence[Plant]) -> Truth:
    """Returns the truth with the planted pairs, and with what follows from them."""
    joined = Truth(set(truth.same), set(truth.different), set(truth.either), dict(truth.kind))
    for made in planted:
        pair = frozenset((made.tag, made.variant))
        joined.same.add(pair)
        joined.kind[pair] = made.kind
    joined.close()
    return joined


def table(results: Sequence[dict[str, Score]]) -> list[str]:
    """Means over the seeds."""
    lines = [
        "| method | P | R | F1 | wrong | known traps |",
        "|---|---|---|---|---|---|",
    ]
    for name in results[0]:
        rows = [result[name] for result in results]
        mean = [
            float(np.mean([getattr(row, column) for row in rows]))
            for column in ("precision", "recall", "f1", "wrong", "traps")
        ]
        spread = f" ± {np.std([row.f1 for row in rows]):.2f}" if len(rows) > 1 else ""
        lines.append(
            f"| {name} | {mean[0]:.2f} | {mean[1]:.2f} | {mean[2]:.2f}{spread} | {mean[3]:.1f} | "
            f"{mean[4]:.1f} |"
        )
    return lines


def by_kind(results: Sequence[dict[str, Score]]) -> list[str]:
    """What share of each kind of variant is found, over all seeds."""
    names = [name for name in results[0] if name.startswith("**") or "0.92" in name]
    lines = [
        "| kind | pairs | " + " | ".join(names) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for kind in sorted({kind for result in results for kind in result[names[0]].found}):
        cells = []
        for name in names:
            counts = [result[name].found.get(kind, (0, 0)) for result in results]
            found, total = (sum(column) for column in zip(*counts, strict=True))
            cells.append(f"{found / max(total, 1):.2f}")
        lines.append(f"| {kind} | {total} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the library")
    parser.add_argument("--plant", action="store_true", help="make variants and look for them")
    parser.add_argument("--seeds", type=int, default=3, help="of the plantings")
    parser.add_argument("--judged", type=Path, help="CSV file of pairs that somebody has judged")
    parser.add_argument("--half", type=int, choices=(0, 1), help="of the judged pairs")
    parser.add_argument("--min-images", type=int, default=3, help="of a tag")
    parser.add_argument("--unread", type=Path, help="write proposed pairs that nobody has judged")
    parser.add_argument("--write", type=Path, help="Markdown page with marks for the tables")
    parser.add_argument("--name", default="variants", help="of the marks in that page")
    arguments = parser.parse_args()
    tags, vectors = load(arguments.collection, arguments.work)
    judged = read_judged(arguments.judged, arguments.half) if arguments.judged else Truth()
    judged.close()
    results = []
    for seed in range(arguments.seeds if arguments.plant else 1):
        made, planted = plant(tags, seed) if arguments.plant else (tags, [])
        truth = with_planted(judged, planted)
        methods = Methods(made, vectors, arguments.min_images, seed)
        # A pair can only be found if both tags have enough images.
        known = set(methods.incidence.names)
        truth.same = {pair for pair in truth.same if pair <= known}
        truth.different = {pair for pair in truth.different if pair <= known}
        results.append(methods.rows(truth))
        print(f"seed {seed}: {len(truth.same)} pairs to find", flush=True)
    if arguments.unread:
        pairs = {
            tuple(sorted(pair))
            for result in results
            for name, row in result.items()
            if name.startswith("**")
            for pair in row.unread
        }
        arguments.unread.write_text("".join(f"{a},{b}\n" for a, b in sorted(pairs)), "utf-8")
    heading = (
        f"{len(tags):,} images, {len(methods.incidence.names):,} tags on at least "
        f"{arguments.min_images}; {len(truth.same)} pairs to find. {machine()}"
    )
    show(arguments.name, [heading, "", *table(results), "", *by_kind(results)], arguments.write)


if __name__ == "__main__":
    main()
