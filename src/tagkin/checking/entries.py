"""What the owner decided, edited and is to decide: decisions, edits of tags, proposals."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tagkin.checking.aside import move_aside
from tagkin.checking.findings import Examples, Finding
from tagkin.decisions import Decision, DecisionKind, links
from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.records import ID_TYPE, is_in
from tagkin.tag_edits import EditKind, TagEdit
from tagkin.variants.stored import PROPOSALS_FILE, load_proposals


def check_decisions(path: Path, decisions: Sequence[Decision]) -> Iterator[Finding]:
    """Yields what is wrong with a list of decisions, which can be read."""
    wrong = Examples()
    for decision in decisions:
        if reason := _wrong_decision(decision):
            wrong.add(f"number {decision.number}: {reason}")
    if wrong.count:
        yield _wrong_entries(path, "decisions", wrong, "'tagkin variants undo NUMBER'")
    links(decisions)  # it can be replayed, or else there is something to mend in Tagkin itself


def _wrong_decision(decision: Decision) -> str:
    if decision.kind not in get_args(DecisionKind):
        return f"of the unknown kind {decision.kind!r}"
    if decision.kind == "undo":
        return _wrong_undo(decision.number, decision.undoes)
    if not decision.tags or not all(decision.tags):
        return "without tags"
    if decision.kind == "merge" and not decision.canonical:
        return "a merge without a name to keep"
    return ""


def _wrong_undo(number: int, undoes: int | None) -> str:
    if undoes is not None and not 1 <= undoes < number:
        return f"it undoes number {undoes}, which wasn't there before it"
    return ""


def check_edits(
    path: Path, edits: Sequence[TagEdit], images: NDArray[np.bytes_] | None
) -> Iterator[Finding]:
    """Yields what is wrong with a list of edits of tags, which can be read.

    Args:
        path: Of its table.
        edits: All of them.
        images: Ids of the library's images in ascending order, type S32; None if not known.
    """
    wrong = Examples()
    for edit in edits:
        if edit.kind not in get_args(EditKind):
            wrong.add(f"number {edit.number}: of the unknown kind {edit.kind!r}")
        elif edit.kind == "undo" and (reason := _wrong_undo(edit.number, edit.undoes)):
            wrong.add(f"number {edit.number}: {reason}")
        elif edit.kind != "undo" and not (edit.image and edit.tag):
            wrong.add(f"number {edit.number}: without an image or a tag")
    if wrong.count:
        yield _wrong_entries(path, "edits", wrong, "an undo")
    of = np.array([e.image for e in edits if e.kind != "undo"], ID_TYPE)
    strange = 0 if images is None else int((~is_in(of, images)).sum())
    if strange:
        what = "edits of images that the library no longer has"
        advice = "they do no harm, and count again if the images come back"
        yield Finding("note", "edits", path, what, strange, (), advice)


def _wrong_entries(path: Path, part: str, wrong: Examples, undo: str) -> Finding:
    return Finding(
        *("damage", part, path, "entries that say nothing that can be"),
        *(wrong.count, tuple(wrong.first)),
        f"they are left out of account where they can be; {undo} takes them back",
    )


def check_proposals(library: Library, *, repair: bool) -> Iterator[Finding]:
    """Yields what is wrong with the proposals that a library keeps, and puts damaged ones aside."""
    path = library.path / PROPOSALS_FILE
    try:
        load_proposals(library)
    except LibraryError as error:
        again = "'tagkin variants' makes them again"
        done = f"kept as {move_aside(library.path, path)}; {again}" if repair else None
        yield Finding("damage", "proposals", path, str(error), 1, (), again, done)
