"""Tags: fold, rename, count, filter; and labels as a sparse multi-hot matrix.

The order is fixed: a raw tag is folded (case, Unicode, white space), then renamed by the manual
alias table, then by the accepted decisions; then the tags that these imply are added; only then
are images counted and rare tags left out.
Raw tags themselves are never changed.
"""

import csv
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagkin.decisions import Decision, accepted_implications, accepted_merges
from tagkin.errors import SettingsError, VocabularyError
from tagkin.settings import Settings

if TYPE_CHECKING:
    from tagkin.records import ImageRow


@dataclass(frozen=True)
class TagRules:
    """How raw tags become the tags that everything else sees.

    Attributes:
        fold_case: Whether capitals don't count.
        unicode_form: The Unicode normal form, or ``none``.
        aliases: Manual renamings.
        merges: Renamings by decision, which come after the aliases.
        exclude: Tags that nobody wants to see.
        implications: Pairs of a tag and one that each of its images has as well.
    """

    fold_case: bool = True
    unicode_form: str = "NFKC"
    aliases: Mapping[str, str] = field(default_factory=dict)
    merges: Mapping[str, str] = field(default_factory=dict)
    exclude: Iterable[str] = ()
    implications: Iterable[tuple[str, str]] = ()

    @classmethod
    def from_settings(cls, settings: Settings, decisions: Iterable[Decision] = ()) -> "TagRules":
        """Collects the rules from the settings and the decisions of a library."""
        taken = list(decisions)
        return cls(
            settings.fold_case,
            settings.unicode_form,
            settings.aliases,
            accepted_merges(taken),
            settings.exclude_tags,
            accepted_implications(taken),
        )

    def fold(self, raw: str) -> str:
        """Returns a raw tag in its folded form, before any renaming."""
        tag = self._normalise(raw)
        if self.fold_case:
            # lower(), not casefold(): owners read these names, and casefold turns ß into ss.
            # Some letters have one code point with their accent in lower case only.
            tag = self._normalise(tag.lower())
        return " ".join(tag.split())

    def _normalise(self, tag: str) -> str:
        form: Any = self.unicode_form
        return tag if form == "none" else unicodedata.normalize(form, tag)

    def resolve(self, raw: str) -> str:
        """Returns the tag that a raw tag stands for; empty if nothing is left of it."""
        tag = self._resolved.get(raw)
        if tag is None:
            tag = self._resolved[raw] = self.steps(raw)[-1]
        return tag

    def steps(self, raw: str) -> tuple[str, str, str]:
        """Returns what a raw tag is after folding, after the aliases and after the decisions."""
        folded = self.fold(raw)
        aliased = self._aliased.get(folded, folded)
        return folded, aliased, self._renames.get(folded, folded)

    def resolve_all(self, raw_tags: Iterable[str]) -> tuple[str, ...]:
        """Returns the distinct tags of one image in the order in which they were read.

        Tags that these imply, directly or through others, come behind them.
        """
        tags = dict.fromkeys(tag for raw in raw_tags if (tag := self.resolve(raw)))
        if self._implied:  # as in few collections
            for tag in list(tags):
                tags.update(dict.fromkeys(self._implied.get(tag, ())))
        return tuple(tags)

    def resolve_weighted(self, row: "ImageRow") -> dict[str, float]:
        """Returns what ``resolve_all`` does with weights, the greatest of those that are one tag.

        A tag that is implied is as sure as the surest tag that implies it.

        Returns:
            Tags with weights above 0 and up to 1, for ``Vocabulary.multi_hot``.
        """
        weights = row.weights
        if not weights:
            return dict.fromkeys(self.resolve_all(row.tags), 1.0)
        greatest: dict[str, float] = {}
        for raw in row.tags:
            if tag := self.resolve(raw):
                greatest[tag] = max(weights.get(raw, 1.0), greatest.get(tag, 0.0))
        for tag, weight in list(greatest.items()):
            for implied in self._implied.get(tag, ()):
                greatest[implied] = max(weight, greatest.get(implied, 0.0))
        return greatest

    @cached_property
    def excluded(self) -> frozenset[str]:
        """The tags that the owner doesn't want to see, resolved."""
        return frozenset(self.resolve(tag) for tag in self.exclude)

    def wanted(self, raw_tags: Iterable[str]) -> tuple[str, ...]:
        """Returns what ``resolve_all`` does, without the excluded tags."""
        return tuple(tag for tag in self.resolve_all(raw_tags) if tag not in self.excluded)

    @cached_property
    def _resolved(self) -> dict[str, str]:
        """What raw tags were resolved to before: a collection has few that are on many images."""
        return {}

    @cached_property
    def _aliased(self) -> dict[str, str]:
        """Each tag of the alias table with the name at the end of its chain."""
        aliases = {self.fold(a): self.fold(b) for a, b in self.aliases.items()}
        return {tag: _follow(tag, aliases) for tag in aliases}

    @cached_property
    def _renames(self) -> dict[str, str]:
        """Each renamed tag with its final name; aliases come before decisions."""
        merges = {self.fold(a): self.fold(b) for a, b in self.merges.items()}
        aliased = self._aliased
        return {tag: _follow(aliased.get(tag, tag), merges) for tag in (*aliased, *merges)}

    @cached_property
    def _implied(self) -> dict[str, tuple[str, ...]]:
        """Each tag that implies others with all of them, the nearest first."""
        direct: dict[str, list[str]] = {}
        for tag, implied in self.implications:
            direct.setdefault(self.resolve(tag), []).append(self.resolve(implied))
        closed = {}
        for tag in direct:
            reached = {tag: None}  # a circle comes back to where it was and adds nothing
            queue = [tag]
            for current in queue:
                new = [one for one in direct.get(current, ()) if one and one not in reached]
                reached.update(dict.fromkeys(new))
                queue += new
            closed[tag] = tuple(reached)[1:]
        return {tag: implied for tag, implied in closed.items() if tag and implied}


def read_aliases(path: Path) -> dict[str, str]:
    """Reads a manual alias table: CSV with the columns ``alias`` and ``canonical``.

    Raises:
        SettingsError: The file can't be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"alias", "canonical"} <= set(reader.fieldnames or ()):
                raise SettingsError(
                    f"the alias table {path} needs the columns 'alias' and 'canonical'; it has "
                    f"{', '.join(reader.fieldnames or ()) or 'none'}"
                )
            pairs = {row["alias"] or "": row["canonical"] or "" for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"the alias table {path} can't be read: {error}") from error
    return {alias: name for alias, name in pairs.items() if alias.strip() and name.strip()}


def _follow(tag: str, renames: Mapping[str, str]) -> str:
    seen = [tag]
    while (following := renames.get(tag, tag)) != tag:
        if following in seen:
            raise VocabularyError(
                f"the aliases go round in a circle: {' -> '.join([*seen, following])}; "
                "remove one of them"
            )
        seen.append(following)
        tag = following
    return tag


@dataclass(frozen=True)
class Vocabulary:
    """The tags that a tagger learns, the most frequent first, and what was left out.

    Attributes:
        tags: The kept tags.
        counts: Images with each kept tag.
        too_rare: Images with each tag that is on fewer images than asked for.
        excluded: Images with each tag that was excluded by name.
    """

    tags: tuple[str, ...]
    counts: Mapping[str, int]
    too_rare: Mapping[str, int]
    excluded: Mapping[str, int]

    @classmethod
    def build(
        cls,
        image_tags: Iterable[Collection[str]],
        *,
        min_tag_occurrences: int,
        exclude: Iterable[str] = (),
    ) -> "Vocabulary":
        """Counts resolved tags over images and filters them.

        Args:
            image_tags: The distinct resolved tags of each image, whose weights don't count here.
            min_tag_occurrences: Tags on fewer images are left out.
            exclude: Resolved tags to leave out whatever their count.
        """
        counts = Counter(tag for tags in image_tags for tag in tags)
        return cls.of_counts(counts, min_tag_occurrences=min_tag_occurrences, exclude=exclude)

    @classmethod
    def of_counts(
        cls, counts: Mapping[str, int], *, min_tag_occurrences: int, exclude: Iterable[str] = ()
    ) -> "Vocabulary":
        """Filters resolved tags whose images are counted; see `build`."""
        unwanted = set(exclude)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        wanted = [(tag, n) for tag, n in ranked if tag not in unwanted]
        kept = {tag: n for tag, n in wanted if n >= min_tag_occurrences}
        return cls(
            tags=tuple(kept),
            counts=kept,
            too_rare={tag: n for tag, n in wanted if n < min_tag_occurrences},
            excluded={tag: n for tag, n in ranked if tag in unwanted},
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """The column of each tag in a multi-hot matrix."""
        return {tag: column for column, tag in enumerate(self.tags)}

    def multi_hot(self, image_tags: Iterable[Sequence[str] | Mapping[str, float]]) -> Any:
        """Returns labels as a sparse matrix.

        Args:
            image_tags: The resolved tags of each image, or the tags with weights from 0 to 1, as
                ``TagRules.resolve_weighted`` gives them. Tags of weight 0 count as absent.

        Returns:
            A ``scipy.sparse.csr_array``, float32 of shape (images, tags). A tag is present where
            an entry is stored; its value is the weight, 1 if there are none. No zero is stored.

        Raises:
            ValueError: A weight is not from 0 to 1.
        """
        import numpy as np
        from scipy.sparse import csr_array

        # Arrays instead of lists: a million images with eight tags each take 64 MB so.
        columns, weights, row_ends = array("i"), array("f"), array("q", [0])
        for tags in image_tags:
            found = self._columns(tags)
            for column in sorted(found):
                columns.append(column)
                weights.append(found[column])
            row_ends.append(len(columns))
        values, ends = np.asarray(weights), np.asarray(row_ends)
        if len(values) and not (values.min() >= 0 and values.max() <= 1):  # nor NaN
            raise ValueError("weights of tags must be from 0 to 1")
        if len(values) <= np.iinfo(np.int32).max:  # or SciPy would make all indices twice as long
            ends = ends.astype(np.int32)
        labels = csr_array(
            (values, np.asarray(columns), ends), shape=(len(row_ends) - 1, len(self.tags))
        )
        labels.eliminate_zeros()
        return labels

    def _columns(self, tags: Sequence[str] | Mapping[str, float]) -> dict[int, float]:
        """Returns the columns of the known ones among some tags, with weights."""
        index = self.index
        if isinstance(tags, Mapping):
            return {index[tag]: weight for tag, weight in tags.items() if tag in index}
        return {index[tag]: 1.0 for tag in tags if tag in index}
