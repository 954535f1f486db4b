"""The validation images with the best and the worst scores."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import ImageError
from tagkin.images import ImageLimits, decode, read_bytes
from tagkin.training.counting import first_tags
from tagkin.training.metrics import Evaluation
from tagkin.training.report.content import ExampleImage, ExampleTag

THUMBNAIL_SIDE = 160
_QUALITY = 70
_EXAMPLES = 12
_MOST_TAGS = 20  # predicted ones that are listed

#: From an image's place in the validation split to a small JPEG; None if it can't be shown.
Thumbnails = Callable[[int], bytes | None]


def thumbnail(path: Path, limits: ImageLimits, *, side: int = THUMBNAIL_SIDE) -> bytes | None:
    """Returns a small JPEG of an image file, in its proportions; None if it can't be read.

    Args:
        path: The file.
        limits: Limits of images.
        side: Most pixels of the longer side.
    """
    try:
        decoded = decode(
            read_bytes(path, limits), limits, least_size=lambda w, h: (min(w, side), min(h, side))
        )
    except ImageError:
        return None
    decoded.image.thumbnail((side, side))
    buffer = io.BytesIO()
    decoded.image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def example_images(
    tags: tuple[str, ...],
    validation: Evaluation,
    names: Callable[[int], str],
    thumbnails: Thumbnails,
    *,
    count: int = _EXAMPLES,
) -> tuple[tuple[ExampleImage, ...], tuple[ExampleImage, ...]]:
    """Returns the best and the worst images by F1 and average precision of their own tags.

    F1 alone has many ties at 1 and at 0, so both count alike. Of images that tie, the one with
    more tags comes first: to get three tags right says more than to get one right, and to miss
    three says more than to miss one.

    Args:
        tags: Names.
        validation: What was measured.
        names: From an image's place in the split to its name.
        thumbnails: From an image's place in the split to a small JPEG.
        count: Images at each end, if there are as many; no image is at both.
    """
    counts = validation.counts
    tagged = np.flatnonzero(counts.image_positives)
    f1 = 2 * counts.image_hits / np.maximum(counts.image_positives + counts.image_predicted, 1)
    quality = f1 + np.nan_to_num(counts.image_precision)
    number = counts.image_positives
    best = tagged[np.lexsort((-number[tagged], -quality[tagged]))]
    worst = tagged[np.lexsort((-number[tagged], quality[tagged]))]
    count = min(count, (len(tagged) + 1) // 2)

    def show(places: NDArray[np.intp]) -> tuple[ExampleImage, ...]:
        scores = validation.probabilities.of_images(places)
        keys = scores if validation.order is None else validation.order(scores)
        images = []
        for place, own, order in zip(
            places.tolist(), scores, first_tags(keys, scores.shape[1]), strict=True
        ):
            there = set(validation.labels[[place]].indices.tolist())
            decided = [t for t in order.tolist() if own[t] >= validation.thresholds[t]]
            images.append(
                ExampleImage(
                    name=names(place),
                    f1=float(f1[place]),
                    average_precision=float(counts.image_precision[place]),
                    tags=tuple(tags[t] for t in sorted(there)),
                    predicted=tuple(
                        ExampleTag(tags[t], float(own[t]), t in there) for t in decided[:_MOST_TAGS]
                    ),
                    jpeg=thumbnails(place),
                )
            )
        return tuple(images)

    return show(best[:count]), show(worst[: min(count, len(tagged) - count)])
