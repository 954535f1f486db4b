"""The images of a library that have a vector of a backbone, with their tags."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.chosen_rows import StoredRows
from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.settings import Settings
from tagkin.tag_edits import EditedTags
from tagkin.tagged_images import TaggedImages
from tagkin.vocabulary import TagRules


@dataclass(frozen=True)
class EmbeddedImages:
    """Images with vectors.

    Attributes:
        images: The images that have a file and a vector, by id.
        vectors: Theirs, float16 of shape (images, dimension): in memory, or on disk if they take
            more than ``max_vector_memory``.
        every: All images of the library that have a file.
    """

    images: TaggedImages
    vectors: NDArray[Any] | StoredRows
    every: TaggedImages

    @classmethod
    def read(
        cls, library: Library, fingerprint: str, rules: TagRules, settings: Settings
    ) -> "EmbeddedImages":
        """Reads the images of a library.

        Args:
            library: The library.
            fingerprint: The backbone's.
            rules: By whose folding edits find the tags of an image.
            settings: How much memory vectors may take.

        Raises:
            LibraryError: The library has no vectors of this backbone, or can't be read.
        """
        stored = library.stored_vectors(fingerprint)
        every = TaggedImages.read(library.image_table(), EditedTags(library.tag_edits(), rules))
        places = stored.find(every.ids)
        some = np.flatnonzero(places >= 0)
        if not len(some):
            raise LibraryError("the library has no vectors yet: run 'tagkin embed' first")
        rows = StoredRows(stored, places[some])
        fits = rows.nbytes <= settings.max_vector_memory * 2**30
        images = every if len(some) == len(every) else every.some(some)
        return cls(images, rows.read() if fits else rows, every)
