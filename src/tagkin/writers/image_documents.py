"""Formats of one JSON document that lists all images: COCO, and FiftyOne's."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from tagkin.sources.text import clean_tags
from tagkin.writers.image_lists import one_line, weight_text
from tagkin.writers.tagged import TaggedImage


class CocoFormat:
    """COCO: images, categories, and an annotation for each tag, with a score if it isn't sure.

    Annotations have no boxes, since tags are of the whole image.
    """

    def __init__(self) -> None:
        self._categories: dict[str, int] = {}
        self._images = 0
        self._annotations = 0

    def carries(self, tag: str) -> bool:
        """Returns whether a tag stays as it is."""
        return clean_tags([tag]) == (tag,)

    def begin(self, file: IO[bytes]) -> None:
        """Begins the list of images; annotations wait in a file of their own."""
        self._waiting = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        file.write(b'{"images": [')

    def add(self, file: IO[bytes], name: str, image: TaggedImage) -> None:
        """Writes an image, and puts its annotations by."""
        self._images += 1
        document: dict[str, Any] = {"id": self._images, "file_name": name}
        if image.size is not None:
            document |= {"width": image.size[0], "height": image.size[1]}
        file.write((b",\n" if self._images > 1 else b"\n") + one_line(document))
        for tag, weight in image.tags.items():
            self._annotations += 1
            annotation: dict[str, Any] = {
                "id": self._annotations,
                "image_id": self._images,
                "category_id": self._categories.setdefault(tag, len(self._categories) + 1),
            }
            if (score := float(weight_text(weight))) != 1:
                annotation["score"] = score
            line = json.dumps(annotation).encode()
            self._waiting.write((b",\n" if self._annotations > 1 else b"\n") + line)

    def end(self, file: IO[bytes]) -> None:
        """Writes annotations and categories."""
        file.write(b'\n],\n"annotations": [')
        with self._waiting as waiting:
            waiting.seek(0)
            shutil.copyfileobj(waiting, file)
        file.write(b'\n],\n"categories": [')
        for tag, number in self._categories.items():
            line = one_line({"id": number, "name": tag})
            file.write((b",\n" if number > 1 else b"\n") + line)
        file.write(b"\n]}\n")


class FiftyOneFormat:
    """The ``labels.json`` of a ``FiftyOneImageClassificationDataset``, with several labels each.

    FiftyOne would drop the ending of a relative name, so that ``cat.jpg`` and ``cat.png`` were one;
    it takes absolute paths as they are.
    """

    def __init__(self) -> None:
        self._images = 0

    def carries(self, tag: str) -> bool:
        """Returns whether a tag stays as it is."""
        return clean_tags([tag]) == (tag,)

    def begin(self, file: IO[bytes]) -> None:
        """Begins the object of labels."""
        file.write(b'{"labels": {')

    def add(self, file: IO[bytes], name: str, image: TaggedImage) -> None:  # noqa: ARG002
        """Writes an image with its labels."""
        self._images += 1
        key, labels = one_line(str(image.path)), list(_labels(image))
        line = key + b": " + one_line(labels)
        file.write((b",\n" if self._images > 1 else b"\n") + line)

    def end(self, file: IO[bytes]) -> None:
        """Ends the object."""
        file.write(b"\n}}\n")


def _labels(image: TaggedImage) -> Iterator[dict[str, Any]]:
    for tag, weight in image.tags.items():
        score = float(weight_text(weight))
        yield {"label": tag} if score == 1 else {"label": tag, "confidence": score}
