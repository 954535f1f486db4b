"""The tables of a library, and what a repair has to know of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tagkin.records import DECISIONS, EDITS, IMAGES, PROBLEMS

_LOST = "lost: this part of the list was damaged"


@dataclass(frozen=True)
class TableKind:
    """What a table holds.

    Attributes:
        part: Its name in the report.
        schema: Of its rows; None if that is only known from the table itself.
        key: The column that tells rows apart; None if there is none.
        lost: What stands in for a row that can't be read, where a row's place counts.
        again: What brings back rows that can't be read.
    """

    part: str
    schema: pa.Schema | None = None
    key: str | None = None
    lost: Mapping[str, Any] | None = None
    again: str = ""


_KINDS = {
    "images.lance": TableKind(
        "images",
        IMAGES,
        key="id",
        again="'tagkin prepare SOURCE' reads what is missing again from its files",
    ),
    "problems.lance": TableKind(
        "problems", PROBLEMS, again="'tagkin prepare SOURCE' finds the problems again"
    ),
    # An entry that undoes nothing says nothing, and keeps the numbers of the others as they are.
    "decisions.lance": TableKind(
        "decisions",
        DECISIONS,
        lost={"kind": "undo", "tags": [], "when": "", "who": "", "evidence": _LOST},
        again="look with 'tagkin variants list' for what is to be decided again",
    ),
    "edits.lance": TableKind(
        "edits", EDITS, lost={"kind": "undo", "image": "", "tag": "", "when": "", "who": ""}
    ),
}
VECTORS = TableKind("vectors", key="id", again="'tagkin embed' makes what is missing again")
_OTHER = TableKind("tables")


def kind_of(path: Path) -> TableKind:
    """Returns what the table in a folder of a library holds, by its name."""
    if path.name.startswith("vectors-"):
        return VECTORS
    return _KINDS.get(path.name, _OTHER)
