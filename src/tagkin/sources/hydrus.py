"""Sidecars as Hydrus exports and imports them: text with a tag a line, or JSON.

A namespace stands before the tag and a colon, as in ``character:samus aran``.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tagkin.sources.options import SourceOptions
from tagkin.sources.record import SourceProblem
from tagkin.sources.text import clean_tags, decode_text, split_lines
from tagkin.sources.walking import Beside, FolderSource, open_walk, read_sidecar

DEFAULT_KEY = "tags"


def open_hydrus(path: Path, options: SourceOptions) -> FolderSource:
    """Opens a folder of images with such sidecars.

    Raises:
        SourceError: The folder can't be read.
    """
    key = options.tags_key or DEFAULT_KEY
    where = f"a line each in .txt, and under {key!r} in .json files beside the images"
    return open_walk(path, options, "hydrus", where, partial(_read_tags, key))


def tags_in_json(document: Any, key: str) -> tuple[str, ...]:
    """Returns the tags in a JSON document: a list of text, or text with a tag a line.

    Args:
        document: A whole one, which may also be just the list.
        key: Keys with dots between, one inside the other; of a list on the way, each element is
            gone into. A key that holds dots itself is found too.

    Raises:
        ValueError: There is nothing of that key, or it holds other things than text.
    """
    if isinstance(document, list) and all(isinstance(tag, str) for tag in document):
        return clean_tags(document)
    found = [tag for value in _values(document, key) for tag in _texts(value, key)]
    return clean_tags(found)


def _values(document: Any, key: str) -> list[Any]:
    if isinstance(document, list):
        found = []
        for element in document:
            if isinstance(element, Mapping | list):
                found += _values(element, key)
        return found
    if not isinstance(document, Mapping):
        raise ValueError("it holds no object")
    if key in document:
        return [document[key]]
    for end in (at for at, letter in enumerate(key) if letter == "."):
        if key[:end] in document:
            return _values(document[key[:end]], key[end + 1 :])
    keys = ", ".join(repr(str(name)[:40]) for name in list(document)[:10]) or "none"
    raise ValueError(f"there is no {key!r} in it; its keys are: {keys}; --tags-key names another")


def _texts(value: Any, key: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return split_lines(value)
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return value
    raise ValueError(f"what {key!r} holds is no text and no list of texts")


def _read_tags(key: str, image: str, beside: Beside) -> Iterator[str | SourceProblem]:
    for path in beside.find(image, ".txt"):
        try:
            yield from clean_tags(split_lines(decode_text(read_sidecar(path))))
        except ValueError as error:  # UnicodeError is one
            yield SourceProblem(path, str(error))
    for path in beside.find(image, ".json"):
        try:
            yield from tags_in_json(json.loads(decode_text(read_sidecar(path))), key)
        except json.JSONDecodeError as error:
            yield SourceProblem(path, f"not JSON: {error}")
        except RecursionError:
            yield SourceProblem(path, "not JSON that can be read: it is nested too deeply")
        except ValueError as error:
            yield SourceProblem(path, str(error))
