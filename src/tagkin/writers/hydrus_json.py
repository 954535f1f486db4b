"""Tags in JSON files beside images, as Hydrus exports and imports them."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from tagkin.sources.hydrus import DEFAULT_KEY, tags_in_json
from tagkin.sources.text import clean_tags, split_lines
from tagkin.writers.sidecars import SidecarFormat


def hydrus_json(key: str | None = None) -> SidecarFormat:
    """Returns ``{"tags": [...]}``, which `tagkin.sources.hydrus` reads.

    Args:
        key: Where the tags are: keys with dots between, one inside the other.
    """
    key = key or DEFAULT_KEY
    return SidecarFormat(".json", True, partial(_read, key), _is_whole, partial(_render, key))


def _read(key: str, data: bytes) -> tuple[str, ...]:
    document = _load(data)
    if isinstance(document, list):
        return tags_in_json(document, key)
    holder, name = _place(document, key)
    return tags_in_json(holder, name) if name in holder else ()


def _render(key: str, old: bytes | None, added: Sequence[str], gone: Collection[str]) -> bytes:
    document: Any = {} if old is None else _load(old)
    if isinstance(document, list):
        document = [tag for tag in document if tag.strip() not in gone] + list(added)
    else:
        holder, name = _place(document, key)
        holder[name] = _changed(holder.get(name), added, gone)
    return _dump(document, 2 if old is None else _indent_of(old.decode()))


def _changed(value: Any, added: Sequence[str], gone: Collection[str]) -> Any:
    if isinstance(value, str):  # a tag in each line
        kept = [line for line in split_lines(value) if line.strip() and line.strip() not in gone]
        return "\n".join([*kept, *added])
    return [tag for tag in value or () if tag.strip() not in gone] + list(added)


def _place(document: Any, key: str) -> tuple[dict[str, Any], str]:
    """Returns the object that holds the tags, or is to hold them, and the key in it."""
    if not isinstance(document, dict):
        raise ValueError(f"on the way to {key!r} is something else than an object")
    if key in document:
        return document, key
    for end in (at for at, letter in enumerate(key) if letter == "."):
        if key[:end] in document:
            return _place(document[key[:end]], key[end + 1 :])
    first, dot, rest = key.partition(".")
    return _place(document.setdefault(first, {}), rest) if dot else (document, key)


def _indent_of(text: str) -> int | None:
    """Returns by how much a document is indented; None if it is written in one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines[1]) - len(lines[1].lstrip()) if len(lines) > 1 else None


def _is_whole(tag: str) -> bool:
    return clean_tags([tag]) == (tag,)


def _load(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("it isn't UTF-8: save it as UTF-8 to have tags added") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: it is nested too deeply") from None
    if isinstance(document, list) and not all(isinstance(tag, str) for tag in document):
        raise ValueError("it is a list of other things than tags")
    return document


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has the same key twice, one of which would be lost")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"not JSON: it holds {name}")


def _dump(document: Mapping[str, Any] | list[Any], indent: int | None) -> bytes:
    def dump(ascii_only: bool) -> str:
        return json.dumps(document, ensure_ascii=ascii_only, indent=indent, allow_nan=False)

    try:
        return (dump(False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only JSON's own notation can hold
        return (dump(True) + "\n").encode()
