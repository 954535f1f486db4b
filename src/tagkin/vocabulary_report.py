"""What became of the tags: which spellings were joined, what was left out, where the images are."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tagkin.errors import SettingsError
from tagkin.files import atomic_file
from tagkin.splits import SPLITS, Split
from tagkin.vocabulary import TagRules, Vocabulary

Status = Literal["kept", "too rare", "excluded"]
Step = Literal["folding", "aliases", "decisions"]

#: A tag with fewer training images than this is hardly learned.
FEW_TRAINING_IMAGES = 5

_EXAMPLES = 20


@dataclass(frozen=True)
class TagSummary:
    """One resolved tag of a collection.

    Attributes:
        tag: Its name.
        status: Whether it is in the vocabulary, and if not, why.
        splits: Images with it in each split.
        joined_from: The raw spellings that count for it and are written otherwise.
    """

    tag: str
    status: Status
    splits: Mapping[Split, int]
    joined_from: tuple[str, ...]

    @property
    def images(self) -> int:
        """Images with the tag."""
        return sum(self.splits.values())


@dataclass(frozen=True)
class VocabularyReport:
    """What became of the tags of a collection.

    Attributes:
        tags: All resolved tags: the kept, the too rare, the excluded; the frequent ones first.
        joined: For each step, the raw spellings that it changed last, with the tags they count for.
        empty: Raw tags of which folding leaves nothing, with the images that have them.
        fold_case: Whether tags that differ by case only are one.
        unicode_form: Unicode normalisation form of the tags, or ``none``.
    """

    tags: tuple[TagSummary, ...]
    joined: Mapping[Step, Mapping[str, str]]
    empty: Mapping[str, int]
    fold_case: bool
    unicode_form: str

    @property
    def kept(self) -> tuple[TagSummary, ...]:
        """The tags of the vocabulary."""
        return tuple(tag for tag in self.tags if tag.status == "kept")

    @property
    def few_training_images(self) -> dict[str, int]:
        """The kept tags with fewer than 5 training images, and how many they have."""
        few = {tag.tag: tag.splits["train"] for tag in self.kept}
        return {tag: count for tag, count in few.items() if count < FEW_TRAINING_IMAGES}

    def without_image_in(self, split: Split) -> tuple[str, ...]:
        """Returns the kept tags without an image in a split; none if nothing at all is in it."""
        if not any(tag.splits[split] for tag in self.tags):
            return ()
        return tuple(tag.tag for tag in self.kept if not tag.splits[split])

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types, with some examples of the spellings."""
        return {
            "fold_case": self.fold_case,
            "unicode_form": self.unicode_form,
            "joined": {step: _some(spellings) for step, spellings in self.joined.items()},
            "empty": dict(self.empty),
            "splits": {tag.tag: dict(tag.splits) for tag in self.kept},
            "few_training_images": self.few_training_images,
            "without_validation_image": list(self.without_image_in("validation")),
            "without_test_image": list(self.without_image_in("test")),
        }

    def write_csv(self, path: Path) -> None:
        r"""Writes all tags as CSV (UTF-8), one a row.

        The columns are ``tag``, ``images``, ``train``, ``validation``, ``test``, ``status`` and
        ``joined_from``, whose spellings are separated by ``|``; in a spelling, ``\`` and ``|``
        have a ``\`` before them.

        Raises:
            SettingsError: The file can't be written.
        """
        try:
            with (
                atomic_file(path) as temporary,
                temporary.open("w", encoding="utf-8", newline="") as file,
            ):
                writer = csv.writer(file)
                writer.writerow(("tag", "images", *SPLITS, "status", "joined_from"))
                for tag in self.tags:
                    counts = [tag.splits[split] for split in SPLITS]
                    joined = "|".join(map(_escape, tag.joined_from))
                    writer.writerow((tag.tag, tag.images, *counts, tag.status, joined))
        except OSError as error:
            raise SettingsError(
                f"the report can't be written to {path}: {error.strerror or error}"
            ) from error


def report_tags(
    raw_tags: Mapping[str, int],
    tags: Mapping[str, Mapping[Split, int]],
    rules: TagRules,
    vocabulary: Vocabulary,
) -> VocabularyReport:
    """Goes through the tags of all images.

    Args:
        raw_tags: Images with each raw tag.
        tags: Images with each resolved tag in each split.
        rules: How raw tags were resolved.
        vocabulary: What was made of these tags.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    joined: dict[Step, dict[str, str]] = {"folding": {}, "aliases": {}, "decisions": {}}
    for raw in sorted(raw_tags):
        tag = rules.resolve(raw)
        if tag and tag != raw:
            spellings[tag].append(raw)
            joined[_last_step(raw, rules)][raw] = tag
    statuses: dict[Status, Mapping[str, int]] = {
        "kept": vocabulary.counts,
        "too rare": vocabulary.too_rare,
        "excluded": vocabulary.excluded,
    }
    return VocabularyReport(
        tags=tuple(
            TagSummary(
                tag,
                status,
                {split: tags[tag].get(split, 0) for split in SPLITS},
                tuple(spellings.get(tag, ())),
            )
            for status, of_status in statuses.items()
            for tag in of_status
        ),
        joined=joined,
        empty={raw: count for raw, count in raw_tags.items() if not rules.resolve(raw)},
        fold_case=rules.fold_case,
        unicode_form=rules.unicode_form,
    )


def _last_step(raw: str, rules: TagRules) -> Step:
    folded, aliased, decided = rules.steps(raw)
    if decided != aliased:
        return "decisions"
    return "aliases" if aliased != folded else "folding"


def _some(spellings: Mapping[str, str]) -> dict[str, Any]:
    examples = dict(list(spellings.items())[:_EXAMPLES])
    return {"spellings": len(spellings), "examples": examples}


def _escape(spelling: str) -> str:
    return spelling.replace("\\", "\\\\").replace("|", "\\|")
