"""What a search by similarity finds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SimilarImage:
    """An image near the query.

    Attributes:
        id: Of the image.
        paths: Its files.
        score: Cosine similarity, -1..1.
        tags: Its tags but excluded ones.
        width: Pixels, upright.
        height: Pixels, upright.
    """

    id: str
    paths: tuple[Path, ...]
    score: float
    tags: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True)
class TagScore:
    """A tag and how strongly it belongs to the query."""

    tag: str
    score: float


@dataclass(frozen=True)
class SimilarResult:
    """The answer to one query.

    Attributes:
        query: The path or the tag that was asked for.
        images: Nearest first.
        tags: Tags that these images carry. The score is the share of the images with the tag,
            weighted by similarity, less the share of the whole collection with it: 0.5 means that
            the tag is 50 points more usual here.
        nearest_tags: For a tag, the tags whose images look most alike (cosine of the mean
            vectors, the mean of the collection taken off); empty for an image.
    """

    query: str
    images: tuple[SimilarImage, ...]
    tags: tuple[TagScore, ...]
    nearest_tags: tuple[TagScore, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as JSON types."""
        result: dict[str, Any] = {
            "query": self.query,
            "images": [
                {**i.__dict__, "paths": [str(p) for p in i.paths], "tags": list(i.tags)}
                for i in self.images
            ],
            "tags": [t.__dict__ for t in self.tags],
        }
        if self.nearest_tags:
            result["nearest_tags"] = [t.__dict__ for t in self.nearest_tags]
        return result
