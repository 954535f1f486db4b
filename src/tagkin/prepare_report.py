"""What ``prepare`` did, as a value that can be printed or written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tagkin.records import Problem
from tagkin.source_changes import FileChanges
from tagkin.vocabulary import Vocabulary
from tagkin.vocabulary_report import VocabularyReport


@dataclass(frozen=True)
class PrepareReport:
    """What ``prepare`` did.

    Attributes:
        files: Files that the source named and that hold a good image.
        images: Distinct images in the library that have a file.
        new_images: Images that the library did not have before.
        unchanged_files: Files that were not read again.
        changes: Files that were added, updated or are missing since an earlier run.
        skipped: How many items the source left out on purpose, by the reason.
        truncated_images: Images of which only a part can be decoded, as the settings allow.
        duplicate_files: Files with the same bytes as another.
        untagged_images: Images without any tag.
        near_duplicate_groups: Groups of two or more images that look nearly the same.
        groups_across_splits: Those of them that are in more than one split, because the source
            or an earlier run put them there: what is learned from one image is then measured on
            its near-duplicate.
        splits: Images in each split.
        vocabulary: The kept and the filtered tags.
        tag_report: What became of the tags as they were written.
        problems: Files of this source that could not be used.
    """

    files: int
    images: int
    new_images: int
    unchanged_files: int
    changes: FileChanges
    skipped: Mapping[str, int]
    truncated_images: int
    duplicate_files: int
    untagged_images: int
    near_duplicate_groups: int
    groups_across_splits: int
    splits: dict[str, int]
    vocabulary: Vocabulary
    tag_report: VocabularyReport
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        vocabulary = self.vocabulary
        return {
            "files": self.files,
            "images": self.images,
            "new_images": self.new_images,
            "unchanged_files": self.unchanged_files,
            "added_files": self.changes.added,
            "updated_files": self.changes.updated,
            "missing_files": self.changes.missing,
            "pruned_files": self.changes.pruned,
            "skipped": dict(self.skipped),
            "truncated_images": self.truncated_images,
            "duplicate_files": self.duplicate_files,
            "untagged_images": self.untagged_images,
            "near_duplicate_groups": self.near_duplicate_groups,
            "groups_across_splits": self.groups_across_splits,
            "splits": self.splits,
            "tags": {
                "kept": dict(vocabulary.counts),
                "too_rare": dict(vocabulary.too_rare),
                "excluded": dict(vocabulary.excluded),
                **self.tag_report.to_dict(),
            },
            "problems": [{"path": str(p.path), "reason": p.reason} for p in self.problems],
        }
