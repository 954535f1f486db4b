"""``prepare``: a source of images and tags into a library.

read -> hash -> decode and check -> store, in batches that are each one atomic step; then group
near-duplicates, split, count tags. A file whose size and time are those of an earlier run is not
read again, which also makes a killed run resume.

============= ====================================================================================
``content``   one file: known, or read, hashed and decoded
``changes``   what has to change in the table of images, stored in batches
``columns``   what the next two need of all images, as arrays
``grouping``  groups of near-duplicates
``splitting`` splits, and tags counted
``storing``   groups and splits of all images that changed, in one step
============= ====================================================================================

Only images that change become Python objects; of the others, columns are in memory.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from tagkin import images
from tagkin.errors import SourceError
from tagkin.known_files import KnownFiles
from tagkin.library import Library
from tagkin.library_state import read_state
from tagkin.locking import only_one
from tagkin.parallel import bundled, map_in_order
from tagkin.prepare_report import PrepareReport
from tagkin.preparing.changes import Changes, look_up
from tagkin.preparing.columns import ImageColumns
from tagkin.preparing.content import Checked, Unchanged, check, content_id
from tagkin.preparing.grouping import Groups, group_images
from tagkin.preparing.splitting import Outcome, split_fractions, split_images
from tagkin.preparing.storing import store_groups_and_splits
from tagkin.progress import Progress, silent
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings
from tagkin.source_changes import FileChanges, missing_files
from tagkin.sources import Source
from tagkin.sources.record import ImageRecord, Item, Skipped, SourceProblem
from tagkin.splits import SPLITS, Split
from tagkin.storage_watch import StorageWatch
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules, Vocabulary
from tagkin.vocabulary_report import report_tags

__all__ = ["content_id", "prepare", "split_fractions"]

_STORE_AFTER_FILES = 2000
_STORE_AFTER_SECONDS = 15.0
_BUNDLE = 16  # to hand a file to a thread takes longer than to see that it is as it was


@dataclass
class _Run:
    """The state of one run.

    Attributes:
        known: The files that the library had, and those that the source named.
        changes: What has not been stored yet.
        splits: The split that the source wants for an image, and the path that it said it for.
        problems: In the order in which they were found, each once.
        unread: The paths of what the source itself couldn't read.
        folders: In which the source named a file.
        skipped: How many items the source left out, by the reason.
        unchanged: Files that were not read again.
        torn: Names of the groups from which an image was taken.
    """

    known: KnownFiles
    changes: Changes
    splits: dict[str, tuple[Split, Path]] = field(default_factory=dict)
    problems: dict[Problem, None] = field(default_factory=dict)
    unread: set[Path] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    torn: set[str] = field(default_factory=set)


def prepare(
    library: Library,
    source: Source,
    settings: Settings,
    *,
    prune: bool = False,
    progress: Progress = silent,
) -> PrepareReport:
    """Reads a source into a library and readies it for embedding and training.

    Images that the library already has keep their split for ever, unless the source names another
    one for them. Files that an earlier run read from the same source and that it no longer names
    are marked as missing and stay listed, unless they are pruned; the files themselves are never
    touched.

    Args:
        library: The library to fill; may hold earlier sources.
        source: Where images and tags come from.
        settings: Limits of images, tag rules, seed and shares of the splits.
        prune: Whether to take missing files out of the library, and images without a file left.
        progress: Called after every file.

    Raises:
        LibraryError: The library can't be written, another process prepares it, or the storage of
            the files doesn't answer any more.
        SourceError: Missing files are to be pruned, and the source names no image at all.
        VocabularyError: The aliases are circular.
    """
    # Of two runs at once, the one that ends later would undo what the other said of an image.
    with only_one(library.path, "prepare", "'tagkin prepare' or 'tagkin check --repair'"):
        return _prepare(library, source, settings, prune, progress)


def _prepare(
    library: Library, source: Source, settings: Settings, prune: bool, progress: Progress
) -> PrepareReport:
    rules = TagRules.from_settings(settings, library.decisions())
    distance = settings.duplicate_distance
    before = read_state(library.path)[0]
    # What a killed run leaves may be of two distances.
    settled = before.prepared and before.grouped_within == distance
    known = KnownFiles(library.image_table(), source.path)
    library.update_state(prepared=False)
    run = _Run(known, Changes(library, known))
    _check_files(source, settings, run, progress)
    run.changes.store()
    changes = _changes(library, run, source, prune)
    table = library.image_table()
    columns = ImageColumns.read(table)
    groups = group_images(columns, distance, settled=settled, torn=run.torn)
    edits = EditedTags(library.tag_edits(), rules)
    edited = {row.id: edits.row(row) for row in look_up(library, edits.images) if row.files}
    wanted = {image: split for image, (split, _) in run.splits.items()}
    outcome = split_images(table, columns, groups.numbers, wanted, edited, rules, settings)
    store_groups_and_splits(library, table, columns, groups.of_images, outcome.splits)
    library.replace_problems([*_still_open(library.problems(), run), *run.problems])
    library.update_state(prepared=True, grouped_within=distance)
    return _report(run, changes, columns, groups, outcome, rules, settings)


def _check_files(source: Source, settings: Settings, run: _Run, progress: Progress) -> None:
    limits = images.ImageLimits.from_settings(settings)
    last_store = time.monotonic()
    watch = StorageWatch()

    def check_some(items: Sequence[Item]) -> list[Checked | Unchanged | Problem | None]:
        return [check(item, source.path, run.known, limits) for item in items]

    def is_known(item: Item) -> bool:
        return isinstance(item, ImageRecord) and run.known.find(item.path) >= 0

    total = _count(source, progress)
    items = iter(source)
    head = list(islice(items, _BUNDLE))  # for to begin anew takes long in a large folder
    paths = (item.path for item in head if isinstance(item, ImageRecord))
    threads = images.reading_threads(paths, settings)
    bundles = bundled(chain(head, items), is_known, _BUNDLE)
    checked = map_in_order(check_some, bundles, threads, timeout=settings.read_timeout)
    outcomes = (
        (item, found if isinstance(found, TimeoutError) else found[number])
        for items, found in checked
        for number, item in enumerate(items)
    )
    for done, (record, outcome) in enumerate(outcomes, 1):
        if isinstance(record, Skipped):
            run.skipped[record.reason] += 1
        elif isinstance(record, SourceProblem):
            run.problems[Problem(record.path, record.reason)] = None
            run.unread.add(record.path)
        elif isinstance(outcome, TimeoutError):
            _note(run, watch, Problem.late(record.path, settings.read_timeout))
        elif isinstance(outcome, Problem):
            _note(run, watch, outcome)
        elif outcome is not None:
            watch.saw(None)
            _merge(run, record, outcome)
        progress("checking images", done, total)
        waiting = len(run.changes)
        if waiting >= _STORE_AFTER_FILES or (
            waiting and time.monotonic() - last_store > _STORE_AFTER_SECONDS
        ):
            run.changes.store()
            last_store = time.monotonic()


def _note(run: _Run, watch: StorageWatch, problem: Problem) -> None:
    watch.saw(problem)
    run.problems[problem] = None


def _count(source: Source, progress: Progress) -> int:
    """Goes through the source once without opening an image, so that time left can be told."""
    total = 0
    for total, _ in enumerate(source.count(), 1):
        progress("counting files", total, 0)
    return total


def _merge(run: _Run, record: ImageRecord, outcome: Checked | Unchanged) -> None:
    place = outcome.place
    again = run.known.see(record.path, place)  # as a table does that names a file in several rows
    run.folders.add(record.path.parent)
    if isinstance(outcome, Checked):
        image, row, as_stored = outcome.row.id, outcome.row, False
    else:
        image, row, as_stored = run.known.image(place), None, outcome.as_stored
        run.unchanged += not again
    if again or not as_stored:
        run.changes.put(image, place, outcome.file, row, adds_up=again)
    if record.split:
        _ask_for_split(run, image, record.split, record.path)


def _ask_for_split(run: _Run, image: str, split: Split, path: Path) -> None:
    first, where = run.splits.setdefault(image, (split, path))
    if first != split:
        other = "an earlier row" if where == path else f"{where}, which has the same content,"
        reason = f"the split {split} is not the {first} that {other} names; {first} counts"
        run.problems[Problem(path, reason)] = None


def _changes(library: Library, run: _Run, source: Source, prune: bool) -> FileChanges:
    """Marks or prunes the files that are missing, and counts all that changed."""
    if prune and not run.known.seen:
        raise SourceError(
            f"nothing was read from {source.path}, so nothing was pruned: check that its images "
            "are where they were"
        )
    unseen = run.known.images_of_unseen()
    problems = {problem.path for problem in run.problems}
    missing, changed, gone = 0, list[ImageRow](), list[ImageRow]()
    rows = library.iter_images(unseen) if len(unseen) else ()
    for row, files in missing_files(source, rows, run.known, problems, run.unread):
        missing += len(files)
        left = [file for file in row.files if file not in files]
        if not prune:
            left += [replace(file, missing=True) for file in files]
        now = replace(row, files=tuple(sorted(left, key=lambda file: file.path)))
        if not left:
            gone.append(now)
        elif now != row:
            changed.append(now)
        if len(changed) >= _STORE_AFTER_FILES:
            library.upsert_images(changed)
            changed.clear()
    library.upsert_images(changed)
    library.delete_images([row.id for row in gone])
    run.torn.update(row.group for row in gone if row.group)
    pruned = missing if prune else 0
    return FileChanges(run.known.added, run.changes.updated, missing, pruned)


def _still_open(old_problems: list[Problem], run: _Run) -> list[Problem]:
    """Returns the earlier problems that this run can say nothing about.

    Those are in folders of other sources. In the folders of this one, the table and the tag files
    among them, all that is still wrong has been found again.
    """
    folders = run.folders | {problem.path.parent for problem in run.problems}
    visited = folders | {above for folder in folders for above in folder.parents}
    return [p for p in old_problems if p.path.parent not in visited]


def _report(
    run: _Run,
    changes: FileChanges,
    columns: ImageColumns,
    groups: Groups,
    outcome: Outcome,
    rules: TagRules,
    settings: Settings,
) -> PrepareReport:
    has_file = columns.files > 0
    count = len(groups.names)
    sizes = np.bincount(groups.numbers[has_file], minlength=count)
    apart = sum(
        (np.bincount(groups.numbers[has_file & (outcome.splits == split)], minlength=count) > 0)
        for split in range(len(SPLITS))
    )
    vocabulary = Vocabulary.of_counts(
        {tag: n for tag, found in outcome.tags.items() if (n := sum(found.values()))},
        min_tag_occurrences=settings.min_tag_occurrences,
        exclude=rules.excluded,
    )
    return PrepareReport(
        files=run.known.seen,
        images=int(np.count_nonzero(has_file)),
        new_images=int(np.count_nonzero(~run.known.had_images(columns.ids[has_file]))),
        unchanged_files=run.unchanged,
        changes=changes,
        skipped=dict(run.skipped.most_common()),
        truncated_images=int(np.count_nonzero(columns.truncated & has_file)),
        duplicate_files=int((columns.files[has_file] - 1).sum()),
        untagged_images=outcome.untagged,
        near_duplicate_groups=int(np.count_nonzero(sizes > 1)),
        groups_across_splits=int(np.count_nonzero(np.asarray(apart) > 1)),
        splits={
            split: int(np.count_nonzero(outcome.splits[has_file] == number))
            for number, split in enumerate(SPLITS)
        },
        vocabulary=vocabulary,
        tag_report=report_tags(outcome.raw_tags, outcome.tags, rules, vocabulary),
        problems=tuple(sorted(run.problems, key=lambda p: p.path)),
    )
