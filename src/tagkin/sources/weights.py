"""Tags with weights, as two columns of a table hold them: as many numbers as tags in each row."""

from collections.abc import Iterable, Sequence

from tagkin.sources.text import clean_tags, split_parts

#: What a table may hold as a weight: None and white space are none.
Weight = str | float | None
Weighted = tuple[tuple[str, ...], tuple[float, ...]]

_SHOWN = 40  # characters of a wrong weight or of its tag


def weigh(tags: str | Sequence[str], weights: str | Sequence[Weight], separator: str) -> Weighted:
    """Reads the two cells of a row.

    Args:
        tags: Separated tags, or a list of them.
        weights: Separated numbers, or a list of them; nothing at all makes every weight 1.
        separator: What separates the parts of both cells; "" if a cell is a single tag.

    Returns:
        The tags without empty ones, and their weights; no weights if all of them are 1.

    Raises:
        ValueError: There are not as many weights as tags, or one is no number from 0 to 1.
    """
    names = split_parts(tags, separator) if isinstance(tags, str) else tags
    numbers = split_parts(weights, separator) if isinstance(weights, str) else weights
    given = [number for number in numbers if _is_given(number)]
    if not given:
        return clean_tags(names), ()
    if len(numbers) != len(names):  # a separator too many in one of the cells does no harm
        names, numbers = clean_tags(names), given
    if len(numbers) != len(names):
        raise ValueError(
            f"{_count(len(given), 'weight')} for {_count(len(clean_tags(names)), 'tag')}: "
            "there must be as many"
        )
    return _pair(zip(names, numbers, strict=True))


def _pair(pairs: Iterable[tuple[str, Weight]]) -> Weighted:
    kept = [(name, _read(name, number)) for tag, number in pairs for name in clean_tags([tag])]
    tags, weights = tuple(tag for tag, _ in kept), tuple(weight for _, weight in kept)
    return tags, weights if any(weight < 1 for weight in weights) else ()


def _is_given(number: Weight) -> bool:
    return bool(number.strip()) if isinstance(number, str) else number is not None


def _read(tag: str, number: Weight) -> float:
    if number is None or not _is_given(number):
        raise ValueError(f"the tag {tag[:_SHOWN]!r} has no weight, and others of the row have one")
    try:
        # Python would read an underscore between digits.
        weight = float("" if isinstance(number, str) and "_" in number else number)
    except (ValueError, OverflowError):
        raise ValueError(f"the weight {str(number)[:_SHOWN]!r} is not a number") from None
    if not 0 <= weight <= 1:  # neither is one that is not a number
        raise ValueError(f"the weight {str(number)[:_SHOWN]} is not from 0 to 1")
    return weight


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
