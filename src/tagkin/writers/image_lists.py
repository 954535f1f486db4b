"""Formats of a table with a line for each image: CSV, and JSON lines."""

import csv
import io
import json
from typing import IO, Any

from tagkin.sources.text import clean_tags
from tagkin.writers.tagged import TaggedImage

SEPARATOR = "|"


def weight_text(weight: float) -> str:
    """Returns a weight in no more digits than it is worth."""
    return f"{weight:.6g}"


def one_line(document: Any) -> bytes:
    """Returns a JSON document in one line; bytes of a name that aren't UTF-8 become escapes."""
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


class CsvFormat:
    """Columns ``file_name``, ``tags`` and ``weights``, which `prepare` and spreadsheets read.

    Args:
        separator: Between the tags in a cell; a tag that holds it can't be written.
    """

    def __init__(self, separator: str = SEPARATOR) -> None:
        self._separator = separator

    def carries(self, tag: str) -> bool:
        """Returns whether a cell can hold a tag beside others."""
        whole = clean_tags([tag]) == (tag,) and "\0" not in tag
        return whole and (not self._separator or self._separator not in tag)

    def begin(self, file: IO[bytes]) -> None:
        """Writes the header."""
        self._row(file, ["file_name", "tags", "weights"])

    def add(self, file: IO[bytes], name: str, image: TaggedImage) -> None:
        """Writes a row, or one for each tag if there is no separator."""
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError("its name is not UTF-8, and a CSV is: use jsonl") from None
        weights = [weight_text(weight) for weight in image.tags.values()]
        if all(weight == "1" for weight in weights):
            weights = [""] * len(weights)
        rows = [([tag], [weight]) for tag, weight in zip(image.tags, weights, strict=True)]
        if self._separator or not rows:
            rows = [(list(image.tags), weights)]
        for tags, numbers in rows:
            cell = self._separator.join(numbers) if any(numbers) else ""
            self._row(file, [name, self._separator.join(tags), cell])

    def end(self, file: IO[bytes]) -> None:
        """Does nothing: there is no footer."""

    def _row(self, file: IO[bytes], cells: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text).writerow(cells)
        file.write(text.getvalue().encode())


class JsonLinesFormat:
    """``file_name``, ``tags`` and ``weights`` in each line, as image folders of Hugging Face."""

    def carries(self, tag: str) -> bool:
        """Returns whether a tag stays as it is."""
        return clean_tags([tag]) == (tag,)

    def begin(self, file: IO[bytes]) -> None:
        """Does nothing: there is no header."""

    def add(self, file: IO[bytes], name: str, image: TaggedImage) -> None:
        """Writes a line; weights only if one of them isn't 1."""
        document: dict[str, Any] = {"file_name": name, "tags": list(image.tags)}
        weights = [float(weight_text(weight)) for weight in image.tags.values()]
        if any(weight != 1 for weight in weights):
            document["weights"] = weights
        file.write(one_line(document) + b"\n")

    def end(self, file: IO[bytes]) -> None:
        """Does nothing: there is no footer."""
