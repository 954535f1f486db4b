"""``prepare``: a source of images and tags into a library.

read -> hash -> decode and check -> store, in batches that are each one atomic step; then group
near-duplicates, split, count tags. A file whose size and time are those of an earlier run is not
read again, which also makes a killed run resume.
"""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tagkin import archives, fitting, images, near_duplicates
from tagkin.errors import ImageError, SourceError
from tagkin.library import Library
from tagkin.locking import only_one
from tagkin.parallel import bundled, map_in_order
from tagkin.prepare_report import PrepareReport
from tagkin.progress import Progress, silent
from tagkin.records import ImageFile, ImageRow, Problem
from tagkin.settings import Settings
from tagkin.source_changes import FileChanges, count_changes, find_missing
from tagkin.sources import Source
from tagkin.sources.record import ImageRecord, Item, Skipped, SourceProblem
from tagkin.splits import SPLITS, Split, assign_splits
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules, Vocabulary
from tagkin.vocabulary_report import report_tags

_STORE_AFTER_FILES = 2000
_STORE_AFTER_SECONDS = 15.0
_BUNDLE = 16  # to hand a file to a thread takes longer than to see that it is as it was
_HASH_SIDE = 64  # pixels that a perceptual hash needs at least; JPEG decodes to that size directly


@dataclass
class _Run:
    """The state of one run: rows by id, ids by path, and what has not been stored yet.

    Attributes:
        rows: By id.
        known_files: Id and file of each path, as an earlier run stored them.
        unsaved: Ids of rows that have not been stored yet.
        seen: Id of each path that the source named.
        splits: The split that the source wants for an image, and the path that it said it for.
        problems: In the order in which they were found, each once.
        unread: The paths of what the source itself couldn't read.
        skipped: How many items the source left out, by the reason.
        unchanged: Files that were not read again.
    """

    rows: dict[str, ImageRow]
    known_files: dict[Path, tuple[str, ImageFile]]
    unsaved: set[str] = field(default_factory=set)
    seen: dict[Path, str] = field(default_factory=dict)
    splits: dict[str, tuple[Split, Path]] = field(default_factory=dict)
    problems: dict[Problem, None] = field(default_factory=dict)
    unread: set[Path] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0


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
        LibraryError: The library can't be written, or another process prepares it.
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
    stored = library.images()
    library.update_state(prepared=False)
    run = _Run(
        rows={row.id: row for row in stored},
        known_files={file.path: (row.id, file) for row in stored for file in row.files},
    )
    _check_files(library, source, settings, run, progress)
    changes = _changes(run, source, prune)
    rows = _group_and_split(run, rules, settings)
    changed = [row for row in rows if row.id in run.unsaved or row != run.rows[row.id]]
    library.upsert_images(changed)
    if changes.pruned:
        library.delete_images([row.id for row in stored if row.id not in run.rows])
    library.replace_problems([*_still_open(library.problems(), run), *run.problems])
    library.update_state(prepared=True)
    edits = EditedTags(library.tag_edits(), rules)
    edited = [edits.row(row) for row in rows]
    return _report(edited, {row.id for row in stored}, run, changes, rules, settings)


def vocabulary_of(rows: Iterable[ImageRow], rules: TagRules, settings: Settings) -> Vocabulary:
    """Returns the vocabulary of a library's images under the given rules and settings."""
    return Vocabulary.build(
        (rules.resolve_all(row.tags) for row in rows if row.files),
        min_tag_occurrences=settings.min_tag_occurrences,
        exclude=rules.excluded,
    )


def content_id(data: bytes) -> str:
    """Returns the id of an image: BLAKE2b of its bytes with 128 bits, as 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _check_files(
    library: Library, source: Source, settings: Settings, run: _Run, progress: Progress
) -> None:
    limits = images.ImageLimits.from_settings(settings)
    last_store, since_store = time.monotonic(), 0

    def check(items: Sequence[Item]) -> list[_Checked | _Unchanged | Problem | None]:
        return [_check(item, source.path, run.known_files, limits) for item in items]

    total = _count(source, progress)
    bundles = bundled(source, lambda item: _is_known(item, run.known_files), _BUNDLE)
    checked = map_in_order(check, bundles, settings.decode_threads, timeout=settings.read_timeout)
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
            reason = f"{outcome}; raise read_timeout to wait longer"
            run.problems[Problem(record.path, reason)] = None
        elif isinstance(outcome, Problem):
            run.problems[outcome] = None
        elif outcome is not None:
            _merge(run, record, outcome)
            since_store += 1
        progress("checking images", done, total)
        if since_store >= _STORE_AFTER_FILES or (
            since_store and time.monotonic() - last_store > _STORE_AFTER_SECONDS
        ):
            library.upsert_images([run.rows[image] for image in run.unsaved])
            run.unsaved.clear()
            last_store, since_store = time.monotonic(), 0


def _is_known(item: Item, known: Container[Path]) -> bool:
    return isinstance(item, ImageRecord) and item.path in known


def _count(source: Source, progress: Progress) -> int:
    """Goes through the source once without opening an image, so that time left can be told."""
    total = 0
    for total, _ in enumerate(source.count(), 1):
        progress("counting files", total, 0)
    return total


@dataclass(frozen=True)
class _Checked:
    row: ImageRow  # without files
    file: ImageFile


@dataclass(frozen=True)
class _Unchanged:
    image: str
    file: ImageFile


def _check(
    item: Item,
    source: Path,
    known_files: dict[Path, tuple[str, ImageFile]],
    limits: images.ImageLimits,
) -> _Checked | _Unchanged | Problem | None:
    """Reads and decodes one file, unless its size and time say that it is known."""
    if not isinstance(item, ImageRecord):
        return None
    try:
        size, changed = archives.stat(item.path)
        known = known_files.get(item.path)
        if known and (known[1].bytes, known[1].mtime_ns) == (size, changed):
            if _is_as_stored(item, known[1], source):
                return _Unchanged(*known)
            file = replace(known[1], source=source, missing=False)
            return _Unchanged(known[0], _with_tags_of(item, file))
        data = images.read_bytes(item.path, limits)
        decoded = images.decode(data, limits, least_size=lambda *_: (_HASH_SIDE, _HASH_SIDE))
        row = ImageRow(
            id=content_id(data),
            files=(),
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            frames=decoded.frames,
            phash=fitting.perceptual_hash(decoded.image),
            truncated=decoded.truncated,
        )
        file = ImageFile(item.path, (), len(data), changed, source=source)
        return _Checked(row, _with_tags_of(item, file))
    except ImageError as error:
        return Problem(item.path, str(error))
    except OSError as error:
        return Problem(item.path, error.strerror or str(error))


def _is_as_stored(record: ImageRecord, file: ImageFile, source: Path) -> bool:
    """Returns whether nothing at all is new, as of most files when a source is read again."""
    weighted = record.weights or file.weights
    return not (weighted or file.missing) and (record.tags, source) == (file.tags, file.source)


def _with_tags_of(record: ImageRecord, file: ImageFile) -> ImageFile:
    return file.with_tags(replace(file, tags=record.tags, weights=record.weights).weighted_tags)


def _merge(run: _Run, record: ImageRecord, outcome: _Checked | _Unchanged) -> None:
    file = outcome.file
    if isinstance(outcome, _Checked):
        image = outcome.row.id
        run.rows.setdefault(image, outcome.row)
    else:
        image = outcome.image
        run.unchanged += record.path not in run.seen
    if record.path in run.seen:  # a table may name a file in several rows: its tags add up
        for earlier in run.rows[image].files:
            if earlier.path == record.path:
                file = _add_up(earlier, file)
    known = run.known_files.get(record.path)
    is_stored = known is not None and file is known[1] and record.path not in run.seen
    run.seen[record.path] = image
    if is_stored:
        if record.split:
            _ask_for_split(run, image, record.split, record.path)
        return
    if known and known[0] != image:  # the file's content changed since the last run
        _set_files(run, known[0], [f for f in run.rows[known[0]].files if f.path != record.path])
    others = [f for f in run.rows[image].files if f.path != record.path]
    _set_files(run, image, [*others, file])
    if record.split:
        _ask_for_split(run, image, record.split, record.path)


def _add_up(earlier: ImageFile, later: ImageFile) -> ImageFile:
    """Returns a file with the tags that two rows of a table name, each with its greatest weight."""
    greatest = earlier.weighted_tags
    for tag, weight in later.weighted_tags.items():
        greatest[tag] = max(weight, greatest.get(tag, 0.0))
    return later.with_tags(greatest)


def _ask_for_split(run: _Run, image: str, split: Split, path: Path) -> None:
    first, where = run.splits.setdefault(image, (split, path))
    if first != split:
        other = "an earlier row" if where == path else f"{where}, which has the same content,"
        reason = f"the split {split} is not the {first} that {other} names; {first} counts"
        run.problems[Problem(path, reason)] = None


def _changes(run: _Run, source: Source, prune: bool) -> FileChanges:
    """Marks or prunes the files that are missing, and counts all that changed."""
    if prune and not run.seen:
        raise SourceError(
            f"nothing was read from {source.path}, so nothing was pruned: check that its images "
            "are where they were"
        )
    problems = {problem.path for problem in run.problems}
    missing = find_missing(source, run.seen, run.known_files, problems, run.unread)
    for path in missing:
        image = run.known_files[path][0]
        files = [file for file in run.rows[image].files if file.path != path]
        if not prune:
            files.append(replace(run.known_files[path][1], missing=True))
        _set_files(run, image, files)
        if prune and not files:
            del run.rows[image]
            run.unsaved.discard(image)
    changes = count_changes(run.rows.values(), run.seen, run.known_files)
    return replace(changes, missing=len(missing), pruned=len(missing) if prune else 0)


def _still_open(old_problems: list[Problem], run: _Run) -> list[Problem]:
    """Returns the earlier problems that this run can say nothing about.

    Those are in folders of other sources. In the folders of this one, the table and the tag files
    among them, all that is still wrong has been found again.
    """
    folders = {path.parent for path in (*run.seen, *(p.path for p in run.problems))}
    visited = folders | {above for folder in folders for above in folder.parents}
    return [p for p in old_problems if p.path.parent not in visited]


def _set_files(run: _Run, image: str, files: list[ImageFile]) -> None:
    ordered = tuple(sorted(files, key=lambda file: file.path))
    if ordered != run.rows[image].files:
        run.rows[image] = replace(run.rows[image], files=ordered)
        run.unsaved.add(image)


def _group_and_split(run: _Run, rules: TagRules, settings: Settings) -> list[ImageRow]:
    if not run.rows:
        return []
    rows = sorted(run.rows.values(), key=lambda row: row.id)
    hashes = np.array([row.phash for row in rows], np.uint64)
    numbers = near_duplicates.group_by_hash(hashes, settings.duplicate_distance)
    names: dict[int, str] = {}
    groups = [names.setdefault(int(n), row.id) for n, row in zip(numbers, rows, strict=True)]
    splits = assign_splits(
        groups,
        [rules.resolve_all(row.tags) for row in rows],
        [run.splits[row.id][0] if row.id in run.splits else row.split for row in rows],
        split_fractions(settings),
        settings.seed,
    )
    return [
        replace(row, group=group, split=split)
        for row, group, split in zip(rows, groups, splits, strict=True)
    ]


def split_fractions(settings: Settings) -> dict[Split, float]:
    """Returns the share of the images in each split."""
    held_out = settings.validation_fraction + settings.test_fraction
    return {
        "train": 1 - held_out,
        "validation": settings.validation_fraction,
        "test": settings.test_fraction,
    }


def _report(
    rows: list[ImageRow],
    old_ids: set[str],
    run: _Run,
    changes: FileChanges,
    rules: TagRules,
    settings: Settings,
) -> PrepareReport:
    rows = [row for row in rows if row.files]  # the others were edited since
    groups: defaultdict[str | None, list[Split | None]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row.split)
    vocabulary = vocabulary_of(rows, rules, settings)
    return PrepareReport(
        files=len(run.seen),
        images=len(rows),
        new_images=sum(row.id not in old_ids for row in rows),
        unchanged_files=run.unchanged,
        changes=changes,
        skipped=dict(run.skipped.most_common()),
        truncated_images=sum(row.truncated for row in rows),
        duplicate_files=sum(max(0, len(row.files) - 1) for row in rows),
        untagged_images=sum(not row.tags for row in rows),
        near_duplicate_groups=sum(len(splits) > 1 for splits in groups.values()),
        groups_across_splits=sum(len(set(splits)) > 1 for splits in groups.values()),
        splits={split: sum(row.split == split for row in rows) for split in SPLITS},
        vocabulary=vocabulary,
        tag_report=report_tags(rows, rules, vocabulary),
        problems=tuple(sorted(run.problems, key=lambda p: p.path)),
    )
