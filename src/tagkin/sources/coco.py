"""COCO: one JSON document of images, annotations and categories."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagkin.errors import SourceError
from tagkin.sources.join import Join
from tagkin.sources.json_objects import check_encoding, iter_elements
from tagkin.sources.options import SourceOptions
from tagkin.sources.paths import ImagePaths
from tagkin.sources.record import ImageRecord, SourceProblem
from tagkin.sources.weights import weigh

LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class CocoSource:
    """The images of a COCO file, each with the names of the categories of its annotations.

    Attributes:
        path: The file.
        images: Where the images are.
    """

    path: Path
    images: ImagePaths

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "coco"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return f"COCO annotations {self.path}, images in {self.images.folder}"

    def __iter__(self) -> Iterator[ImageRecord | SourceProblem]:
        """Reads the three lists one after the other; damage ends it with a problem."""
        categories: dict[str, str] = {}
        with Join() as join:
            for place, category in self._list("categories"):
                if isinstance(category, SourceProblem):
                    yield category
                elif isinstance(category.get("name"), str):
                    categories[_key(category.get("id"))] = category["name"]
                else:
                    yield self._problem(place, "a category without a name")
            for place, annotation in self._list("annotations"):
                if isinstance(annotation, SourceProblem):
                    yield annotation
                    continue
                name = categories.get(_key(annotation.get("category_id")))
                if name is None:
                    yield self._problem(place, "its category_id is none of the categories")
                else:
                    score = annotation.get("score")
                    join.add_right(_key(annotation.get("image_id")), [name, score])
            for place, image in self._list("images"):
                if isinstance(image, SourceProblem):
                    yield image
                    continue
                try:
                    yield self._record(image, join)
                except ValueError as error:
                    yield self._problem(place, str(error))

    def count(self) -> Iterator[None]:
        """Goes through the images."""
        return (None for _ in self._list("images"))

    def _record(self, image: Mapping[str, Any], join: Join) -> ImageRecord:
        name = image.get("file_name")
        if not isinstance(name, str):
            raise ValueError("it has no 'file_name'")
        best: dict[str, float] = {}
        for tag, score in join.matches(_key(image.get("id"))):
            known = isinstance(score, int | float) and not isinstance(score, bool)
            best[tag] = max(best.get(tag, 0.0), float(score) if known else 1.0)
        return ImageRecord(self.images.path_of(name), *weigh(list(best), list(best.values()), ""))

    def _list(self, name: str) -> Iterator[tuple[str, Any]]:
        import ijson

        number = 0
        try:
            for number, element in enumerate(iter_elements(self.path, f"{name}.item"), 1):
                place = f"{name}, item {number}"
                if isinstance(element, dict):
                    yield place, element
                else:
                    yield place, self._problem(place, "not a JSON object")
        except (ijson.JSONError, OSError, ValueError, ArithmeticError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            place = f"{name}, after item {number}"
            yield place, self._problem(place, f"the rest can't be read: {reason}")

    def _problem(self, place: str, reason: str) -> SourceProblem:
        return SourceProblem(self.path, f"{place}: {reason}")


def open_coco(path: Path, options: SourceOptions) -> CocoSource:
    """Opens a COCO file.

    Raises:
        SourceError: It is a folder, compressed, or in another encoding than UTF-8.
    """
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name the .json file of the annotations")
    check_encoding(path)
    images = ImagePaths(
        options.image_folder(path),
        options.allow_outside,
        options.allow_remote,
        "the folder of the images",
    )
    return CocoSource(path.absolute(), images)


def _key(value: Any) -> str:
    # 1 and 1.0 are one number to JSON.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
