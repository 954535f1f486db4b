"""A user's own file of tags that mean the same."""

import csv
from pathlib import Path

from tagkin.errors import SettingsError


def read_synonyms(path: Path) -> list[tuple[str, ...]]:
    """Reads groups of words: CSV, a group on each line; ``#`` starts a comment.

    An alias table, whose first line is ``alias,canonical``, will do as well.

    Returns:
        Groups of two or more distinct words.

    Raises:
        SettingsError: It can't be read, or holds no group.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(line for line in lines if not line.lstrip().startswith("#")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"the synonyms in {path} can't be read: {error}") from error
    groups = [
        tuple(dict.fromkeys(word.strip() for word in row if word.strip()))
        for place, row in enumerate(rows)
        if not (place == 0 and [word.strip().lower() for word in row] == ["alias", "canonical"])
    ]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        raise SettingsError(
            f"{path} holds no synonyms; write on each line words that mean the same, with commas "
            "between them: trash,garbage"
        )
    return groups
