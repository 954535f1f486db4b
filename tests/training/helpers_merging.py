"""Made-up images with splits, for what merges buy."""

from pathlib import Path

import numpy as np
from variants.made import Tags, Vectors, collection

from tagkin.records import ImageFile, ImageRow
from tagkin.splits import SPLITS


def rows_of(tags: Tags, splits: str) -> list[ImageRow]:
    """Images with these tags; of the letters t, v and e, one for each split, in turn."""
    names = dict(zip("tve", SPLITS, strict=True))
    return [
        ImageRow(
            id=f"{number:032x}",
            files=(ImageFile(Path(f"{number}.png"), tuple(some), 1, 1),),
            width=8,
            height=8,
            format="png",
            frames=1,
            phash=number,
            group=str(number),
            split=names[splits[number % len(splits)]],
        )
        for number, some in enumerate(tags)
    ]


def made(
    spellings: dict[str, tuple[str, ...]] | None = None,
    *,
    noise: float = 0.0,
    each: int = 40,
    splits: str = "tttveee",
) -> tuple[list[ImageRow], Vectors]:
    """The made-up collection with splits, and vectors that are as hard to tell apart as wanted."""
    tags, vectors = collection(spellings, each=each)
    harder = np.random.default_rng(1).normal(size=vectors.shape) * noise
    return rows_of(tags, splits), (vectors + harder).astype(np.float32)
