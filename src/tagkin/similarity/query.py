"""What an owner types to choose images: tags to have, not to have, folders and dates.

The signs are those of booru search: ``cat -dog ~red ~blue "two words" folder:holidays
date:>=2024``.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from tagkin.errors import QueryError

Comparison = Literal["=", "<", "<=", ">", ">="]

# A term: a sign or none, then something in quotes (a backslash keeps a quote) or without spaces.
_TERM = re.compile(r'([-~]?)(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|(\S+))')
_DATE = re.compile(r"(<=|>=|=|<|>)?(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?\Z")
_PLAIN = re.compile(r'[^\s"~-]\S*\Z')


@dataclass(frozen=True)
class TagTerm:
    """A tag, or the beginning of tags.

    Attributes:
        tag: As typed, without sign and quotes.
        prefix: Whether all tags that begin so are meant.
    """

    tag: str
    prefix: bool = False


@dataclass(frozen=True)
class DateTerm:
    """When a file was last changed, by the clock of this machine.

    Attributes:
        comparison: How the time is compared with the period.
        start: When the named year, month or day begins.
        end: When it is over.
        text: As typed.
    """

    comparison: Comparison
    start: datetime
    end: datetime
    text: str


@dataclass(frozen=True)
class Query:
    """Which images are wanted; an empty one wants all.

    Attributes:
        all_of: An image has all of these.
        none_of: It has none of these.
        any_of: It has at least one of these, if there are any.
        folders: Each of these is a folder that one of its files is in, or several joined by ``/``.
        not_folders: None of these is.
        dates: All of these hold for one of its files.
    """

    all_of: tuple[TagTerm, ...] = ()
    none_of: tuple[TagTerm, ...] = ()
    any_of: tuple[TagTerm, ...] = ()
    folders: tuple[str, ...] = ()
    not_folders: tuple[str, ...] = ()
    dates: tuple[DateTerm, ...] = ()

    def __bool__(self) -> bool:
        """Whether it leaves any image out."""
        return self != Query()

    def __str__(self) -> str:
        """The query as text that `parse_query` reads as the same."""
        terms = [_written("", term) for term in self.all_of]
        terms += [_written("~", term) for term in self.any_of]
        terms += [_written("-", term) for term in self.none_of]
        terms += [f"folder:{_quoted(folder)}" for folder in self.folders]
        terms += [f"-folder:{_quoted(folder)}" for folder in self.not_folders]
        terms += [f"date:{date.text}" for date in self.dates]
        return " ".join(terms)


def parse_query(text: str) -> Query:
    """Reads a query.

    A tag may be in quotes, which makes spaces, signs, ``folder:`` and ``*`` at its end part of it.
    Without quotes, a ``*`` at the end stands for any ending. All colons but those of ``folder:``
    and ``date:`` belong to tags with a namespace, such as ``rating:s``.

    Raises:
        QueryError: A date or a sign makes no sense; the message says what is wrong.
    """
    found: dict[str, list[TagTerm]] = {"": [], "-": [], "~": []}
    folders: dict[str, list[str]] = {"": [], "-": []}
    dates: list[DateTerm] = []
    for sign, word, quoted in _terms(text):
        name, colon, value = word.partition(":")
        if not quoted and colon and name in ("folder", "date"):
            value = _unquoted(value)
            if sign == "~" or (sign == "-" and name == "date"):
                raise QueryError(f"{sign}{name}: can't be combined; leave the {sign} out")
            if not value:
                raise QueryError(f"{name}: needs a value behind the colon")
            if name == "date":
                dates.append(_date(value))
            else:
                folders[sign].append(value.strip("/"))
        elif not quoted and len(word) > 1 and word.endswith("*"):
            found[sign].append(TagTerm(word[:-1], prefix=True))
        else:
            found[sign].append(TagTerm(word))
    return Query(
        all_of=tuple(found[""]),
        none_of=tuple(found["-"]),
        any_of=tuple(found["~"]),
        folders=tuple(folders[""]),
        not_folders=tuple(folders["-"]),
        dates=tuple(dates),
    )


def _terms(text: str) -> list[tuple[str, str, bool]]:
    """Returns sign, word and whether it was in quotes of each term."""
    terms = []
    position = 0
    while match := _next_term(text, position):
        sign, quoted, plain = match.groups()
        position = match.end()
        if quoted is not None:
            if quoted.strip():
                terms.append((sign, _unescaped(quoted), True))
            continue
        if plain.lower().startswith(('folder:"', 'date:"')):
            plain, position = _quoted_value(text, match.start(3))
        if plain == sign or not plain:
            continue
        terms.append((sign, plain, False))
    return terms


def _next_term(text: str, position: int) -> "re.Match[str] | None":
    return _TERM.search(text, position)


def _quoted_value(text: str, start: int) -> tuple[str, int]:
    """Returns ``name:"value"``, which may hold spaces, and where it ends."""
    match = re.compile(r'[a-z]+:"(?:[^"\\]|\\.)*"', re.IGNORECASE).match(text, start)
    if match is None:
        raise QueryError("a quotation mark is opened and never closed")
    return match.group(), match.end()


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
    return _unescaped(value[1:-1]) if quoted else value


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _written(sign: str, term: TagTerm) -> str:
    if term.prefix:
        return f"{sign}{term.tag}*"
    reserved = term.tag.startswith(("folder:", "date:")) or term.tag.endswith("*")
    plain = bool(_PLAIN.match(term.tag)) and not reserved
    return sign + (term.tag if plain else _quoted(term.tag))


def _date(value: str) -> DateTerm:
    match = _DATE.match(value)
    try:
        if match is None:
            raise ValueError
        year, month, day = match.groups()[1:]
        comparison = cast("Comparison", match[1] or "=")
        start = datetime(int(year), int(month or 1), int(day or 1)).astimezone()
        if day:
            end = datetime(int(year), int(month), int(day)) + timedelta(days=1)
        elif month:
            end = datetime(int(year) + int(month) // 12, int(month) % 12 + 1, 1)
        else:
            end = datetime(int(year) + 1, 1, 1)
        return DateTerm(comparison, start, end.astimezone(), value)
    except (ValueError, OverflowError):
        raise QueryError(
            f"date:{value} is no date: write date:2024, date:2024-05 or date:>=2024-05-17"
        ) from None
