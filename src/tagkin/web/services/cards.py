"""An image as lists show it, and the tags in a browser's words."""

from dataclasses import dataclass

from tagkin.files import printable
from tagkin.records import ImageRow
from tagkin.similarity import SimilarImage

#: Where the REST interface is.
API = "/api/v1"


@dataclass(frozen=True)
class ImageCard:
    """An image in a list.

    Attributes:
        id: Of the image.
        name: Of its first file; bytes that are not UTF-8 are U+FFFD.
        width: Pixels, upright.
        height: Pixels, upright.
        tags: As the rules and edits see them, the most frequent first.
        thumbnail: Address of a small picture, to which ``?height=`` can be added.
        score: Cosine similarity with what was searched for, if anything was.
    """

    id: str
    name: str
    width: int
    height: int
    tags: tuple[str, ...]
    thumbnail: str
    score: float | None = None


@dataclass(frozen=True)
class TagCount:
    """A tag and the number of images that carry it."""

    tag: str
    count: int


@dataclass(frozen=True)
class TagShare:
    """A tag and how strongly it belongs to what was searched for; see `tagkin.similarity`."""

    tag: str
    score: float


def card(
    image: ImageRow | SimilarImage, tags: tuple[str, ...], score: float | None = None
) -> ImageCard:
    """Returns an image as lists show it.

    Args:
        image: The image, as the library stores it or as a search found it.
        tags: As the rules and edits see them.
        score: Similarity with the query.
    """
    name = printable(image.paths[0].name) if image.paths else image.id
    url = thumbnail_url(image.id)
    return ImageCard(image.id, name, image.width, image.height, tags, url, score)


def thumbnail_url(image: str) -> str:
    """Returns the address of an image's thumbnail."""
    return f"{API}/images/{image}/thumbnail"
