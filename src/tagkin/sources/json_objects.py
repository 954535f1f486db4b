"""The objects of a JSON dump, one at a time: lines of JSON, or one document with a list in it."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from tagkin.errors import SourceError
from tagkin.sources.opening import GZIP, open_file

JSON_EXTENSIONS = (".json", ".jsonl", ".ndjson")
#: The endings of such files, which may be compressed.
JSON_ENDINGS = (*JSON_EXTENSIONS, *(extension + GZIP for extension in JSON_EXTENSIONS))
#: The keys under which dumps keep their list of posts or items.
LIST_KEYS = ("posts", "post", "items", "images")

_MAX_LINE = 16 * 2**20  # bytes
_MAX_OBJECT = 64 * 2**20  # bytes of a document that is a single object


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object of a dump, or what is wrong with it.

    Attributes:
        place: Where it is, for the owner: ``line 3`` or ``item 3``.
        value: The object.
        problem: Why it can't be read; ``value`` is then empty.
    """

    place: str
    value: dict[str, Any]
    problem: str = ""


def iter_objects(path: Path) -> Iterator[JsonObject]:
    """Yields the objects of a file without holding more than one of them.

    The file is a line for each object, or a list of objects, or an object that holds such a list
    under one of `LIST_KEYS`, or a single object. A bad line is told and passed over; what comes
    after damage in a document can't be read, and is told once.

    Raises:
        OSError: The file can't be read.
    """
    with open_file(path) as file:
        if file.read(3) != codecs.BOM_UTF8:
            file.seek(0)
        start = file.tell()
        line = file.readline(_MAX_LINE)
        while line and not line.strip():
            line = file.readline(_MAX_LINE)
        first = _load(line)
        file.seek(start)
        if isinstance(first, dict):
            yield from _lines(file)
        elif line:
            yield from _document(file, start)


def load_json(data: bytes) -> Any:
    """Reads one JSON document.

    Raises:
        ValueError: It isn't JSON, in UTF-8, that Python can hold.
    """
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: it is nested too deeply") from None


def iter_elements(path: Path, prefix: str) -> Iterator[Any]:
    """Yields the elements of a list in a JSON document without holding more than one of them.

    Args:
        path: The document.
        prefix: Ijson's name for the elements, such as ``images.item``.

    Raises:
        OSError: The file can't be read.
        ijson.JSONError: It is damaged from here on.
        ValueError: The same, as are ArithmeticError and RecursionError.
    """
    import ijson
    from ijson.backends import python

    number = 0
    with open_file(path) as file:
        try:
            for element in ijson.items(file, prefix, use_float=True):
                number += 1
                yield element
        except UnicodeDecodeError:
            # Half a surrogate pair, which the fast parser doesn't take; a file's name may hold one.
            file.seek(0)
            yield from islice(python.items(file, prefix, use_float=True), number, None)


def check_encoding(path: Path) -> None:
    """Finds out before anything is read that a file can't be JSON in UTF-8.

    Raises:
        SourceError: It is compressed in another way than with gzip, or in UTF-16.
    """
    with open_file(path) as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{path} is UTF-16: save it as UTF-8")
    if head.startswith((b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"PK\3\4")):
        raise SourceError(f"{path} is compressed: unpack it first, or pack it with gzip")


def _load(line: bytes) -> Any:
    try:
        return load_json(line)
    except ValueError:
        return None


def _lines(file: BinaryIO) -> Iterator[JsonObject]:
    number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        place = f"line {number}"
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(_MAX_LINE)
            yield JsonObject(place, {}, f"the line has more than {_MAX_LINE:,} bytes")
        elif line.strip():
            try:
                yield from _expand(place, load_json(line))
            except ValueError as error:
                yield JsonObject(place, {}, str(error))


def _expand(place: str, value: Any) -> Iterator[JsonObject]:
    """Yields an object, or those of the list in it."""
    if not isinstance(value, dict):
        yield JsonObject(place, {}, "not a JSON object")
        return
    for key in LIST_KEYS:
        if isinstance(inner := value.get(key), list):
            for number, element in enumerate(inner, 1):
                if isinstance(element, dict):
                    yield JsonObject(f"{place}, item {number}", element)
                else:
                    yield JsonObject(f"{place}, item {number}", {}, "not a JSON object")
            return
    yield JsonObject(place, value)


def _document(file: BinaryIO, start: int) -> Iterator[JsonObject]:
    import ijson

    number = 0
    try:
        prefix = _list_prefix(file)
        file.seek(start)
        if prefix is None:
            data = file.read(_MAX_OBJECT + 1)
            if len(data) > _MAX_OBJECT:
                keys = ", ".join(LIST_KEYS)
                yield JsonObject("the file", {}, f"one object without a list called {keys}")
            else:
                yield from _expand("the file", load_json(data))
            return
        for number, element in enumerate(ijson.items(file, prefix, use_float=True), 1):
            if isinstance(element, dict):
                yield JsonObject(f"item {number}", element)
            else:
                yield JsonObject(f"item {number}", {}, "not a JSON object")
    # Besides its own errors, ijson lets those of numbers and of text through.
    except (ijson.JSONError, ValueError, ArithmeticError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        yield JsonObject(f"after item {number}", {}, f"the rest can't be read: {reason}")


def _list_prefix(file: BinaryIO) -> str | None:
    """Returns ijson's name for the elements of the first known list; None if there is none."""
    import ijson

    for prefix, event, _ in ijson.parse(file):
        if event == "start_array" and (prefix == "" or prefix in LIST_KEYS):
            return f"{prefix}.item" if prefix else "item"
    return None
