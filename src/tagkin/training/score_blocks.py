"""Scores of many images for many tags, a block at a time.

The scores of 30,000 images for 10,000 tags are 1.2 GB in float32. Nobody needs them all at once:
what is measured of a tag needs all images of some tags, what is measured of an image all tags of
some images.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import Matrix
from tagkin.head import Head, sigmoid

_BLOCK_VALUES = 2**24  # 64 MiB of float32
_ROWS = 4096  # vectors at once in float32

#: From a slice of images and a slice of tags to their scores, float32.
BlockFunction = Callable[[slice, slice], NDArray[np.float32]]


class ScoreBlocks:
    """Scores, probabilities or logits, of shape (images, tags), made when they are asked for.

    Args:
        shape: Images, tags.
        block: Makes the scores of a slice of images and a slice of tags (both with start and stop,
            no step), float32. It is called again for each walk, so it should be quick and must
            give the same scores each time.
        block_values: Most scores in a block, unless one tag or one image alone has more.
    """

    def __init__(
        self, shape: tuple[int, int], block: BlockFunction, *, block_values: int = _BLOCK_VALUES
    ) -> None:
        self.shape = shape
        self._block = block
        self._block_values = block_values

    @classmethod
    def of(cls, scores: "ScoreBlocks | NDArray[Any]") -> "ScoreBlocks":
        """Returns blocks as they are, and an array of shape (images, tags) in blocks."""
        if isinstance(scores, ScoreBlocks):
            return scores
        images, tags = scores.shape
        return cls((images, tags), lambda i, t: np.asarray(scores[i, t], np.float32))

    @classmethod
    def of_logits(cls, head: Head, vectors: Matrix) -> "ScoreBlocks":
        """Returns a head's logits for vectors, float16 or float32 of shape (images, dimension)."""

        def block(images: slice, tags: slice) -> NDArray[np.float32]:
            kernel, bias = head.kernel[:, tags], head.bias[tags]
            chosen = vectors[images]
            logits = np.empty((len(chosen), len(bias)), np.float32)
            for start in range(0, len(chosen), _ROWS):
                some = chosen[start : start + _ROWS].astype(np.float32)
                np.matmul(some, kernel, out=logits[start : start + _ROWS])
            logits += bias
            return logits

        return cls((len(vectors), len(head.bias)), block)

    @classmethod
    def of_head(cls, head: Head, vectors: Matrix) -> "ScoreBlocks":
        """Returns a head's probabilities; see `of_logits`."""
        return cls.of_logits(head, vectors).map(sigmoid)

    def map(self, function: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> "ScoreBlocks":
        """Returns blocks to which a function of single scores is applied."""
        return ScoreBlocks(
            self.shape,
            lambda i, t: function(self._block(i, t)),
            block_values=self._block_values,
        )

    def block(self, images: slice, tags: slice) -> NDArray[np.float32]:
        """Returns the scores of a slice of images and a slice of tags."""
        return self._block(images, tags)

    def by_tags(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yields slices of tags with their scores, float32 of shape (images, tags in the slice)."""
        images, tags = self.shape
        for some in self._slices(tags, images):
            yield some, self._block(slice(0, images), some)

    def by_images(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yields slices of images with their scores, float32 of shape (images there, tags)."""
        images, tags = self.shape
        for some in self._slices(images, tags):
            yield some, self._block(some, slice(0, tags))

    def of_images(self, images: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Returns the scores of a few images, float32 of shape (images, tags)."""
        whole = slice(0, self.shape[1])
        rows = [self._block(slice(i, i + 1), whole) for i in images.tolist()]
        return np.concatenate(rows) if rows else np.empty((0, self.shape[1]), np.float32)

    def of_tag(self, tag: int) -> NDArray[np.float32]:
        """Returns the scores of one tag, float32 of shape (images,)."""
        return self._block(slice(0, self.shape[0]), slice(tag, tag + 1))[:, 0]

    def _slices(self, count: int, across: int) -> Iterator[slice]:
        step = max(1, self._block_values // max(1, across))
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))


def presence(labels: Any) -> Any:
    """Returns which tag is on which image, without the weights that training gives to some.

    Args:
        labels: Sparse of shape (images, tags); a stored entry means that the tag is there.

    Returns:
        ``csr_array`` of the same shape, each entry once and 1, columns in ascending order.
    """
    from scipy.sparse import csr_array

    rows = labels.tocsr()
    ones = np.ones(len(rows.indices), np.int32)
    result = csr_array((ones, rows.indices.copy(), rows.indptr.copy()), shape=rows.shape)
    result.sum_duplicates()
    result.data[:] = 1
    return result


def tag_counts(labels: Any) -> NDArray[np.int64]:
    """Returns the images of each tag, int64 of shape (tags,), from labels as for `presence`."""
    return np.bincount(presence(labels).indices, minlength=labels.shape[1]).astype(np.int64)
