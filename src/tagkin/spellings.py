"""What somebody may have meant who typed a tag that isn't there."""

from collections.abc import Sequence

_SHOWN = 3
_ALIKE = 60  # of 100


def near_spellings(name: str, names: Sequence[str]) -> str:
    """Returns the end of a message that names the most similar tags; empty if none is similar.

    Args:
        name: What was typed, folded.
        names: All tags, of which there may be a million: they are compared in a fraction of a
            second, where `difflib` takes seconds.
    """
    from rapidfuzz import fuzz, process

    found = process.extract(
        name, names, scorer=fuzz.ratio, limit=_SHOWN, score_cutoff=_ALIKE, processor=None
    )
    return f"; did you mean {' or '.join(repr(tag) for tag, _, _ in found)}?" if found else ""
