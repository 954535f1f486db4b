"""What a check of a library comes to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

#: ``damage``: what was stored can't be read, or contradicts itself. ``change``: files are no longer
#: what the library knows of them. ``leftover``: a killed run left it. ``note``: nothing is wrong.
Level = Literal["damage", "change", "leftover", "note"]

_MOST_EXAMPLES = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: What kind of thing; see `Level`.
        part: Of the library: ``images``, ``vectors``, ``decisions``, ``taggers`` and so on.
        where: A path.
        what: In words.
        count: How many rows, files or folders it concerns.
        examples: Some of them.
        advice: What to do about it.
        repaired: What was done about it; None if nothing.
    """

    level: Level
    part: str
    where: Path
    what: str
    count: int = 1
    examples: tuple[str, ...] = ()
    advice: str = ""
    repaired: str | None = None

    @property
    def open(self) -> bool:
        """Whether something is still to be done about it."""
        return self.level != "note" and self.repaired is None

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return {**self.__dict__, "where": str(self.where), "examples": list(self.examples)}


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        library: Its folder.
        repaired: Whether what could be mended was mended.
        hashed: Whether the content of all files was read.
        checked: How many images, files, vectors and so on were looked at.
        findings: In the order in which they were found.
        seconds: That it took.
    """

    library: Path
    repaired: bool
    hashed: bool
    checked: dict[str, int]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing is left to be done."""
        return not any(finding.open for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON types."""
        return {
            "library": str(self.library),
            "clean": self.clean,
            "repair": self.repaired,
            "hash": self.hashed,
            "checked": self.checked,
            "findings": [finding.to_dict() for finding in self.findings],
            "seconds": self.seconds,
        }


@dataclass
class Examples:
    """A count, and the first few of what is counted."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, one: object) -> None:
        """Counts one."""
        self.count += 1
        if len(self.first) < _MOST_EXAMPLES:
            self.first.append(str(one))

    def join(self, other: "Examples") -> None:
        """Counts those that another has counted as well."""
        self.count += other.count
        self.first = (self.first + other.first)[:_MOST_EXAMPLES]
