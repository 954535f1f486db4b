"""What the server holds and requests share."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, open_backbone
from tagkin.backbones.runtime import Embedder
from tagkin.embeddings import decode_views
from tagkin.hardware import usable_cores
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings
from tagkin.thumbnails import USUAL_HEIGHT, make_thumbnail
from tagkin.variants.proposals import Proposals
from tagkin.variants.stored import load_proposals
from tagkin.views import embed_views
from tagkin.web.live import Live, LiveLists
from tagkin.web.loaded import Loaded
from tagkin.web.problems import NotFoundError
from tagkin.web.queue import ReviewQueue
from tagkin.web.refreshing import Refreshed
from tagkin.web.suspecting import SuspectSearch
from tagkin.web.thumbnails import Thumbnails
from tagkin.web.uploads import Gate, Upload, UploadStore, refusing_uploads, upload_limits

_PROBLEMS_FOR = 5.0  # seconds, in which the list of problems is not read again


class WebState:
    """Everything that requests share; safe to be used by several threads.

    Args:
        path: Folder of the library.
        settings: With what the library remembers.

    Attributes:
        path: As given.
        settings: As given.
        limits: Of the library's own images.
        uploads: The last uploads.
        gate: Limits how many uploads are looked at.
        thumbnails: Of the library's images.
        suspects: Works out suspects in the background.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.limits = ImageLimits.from_settings(settings)
        self.uploads = UploadStore()
        self.gate = Gate(settings.serve_uploads_at_once, settings.serve_uploads_per_minute)
        cores = settings.decode_threads or usable_cores()
        self.thumbnails = Thumbnails(settings.cache_dir, self.limits, cores)
        self.suspects = SuspectSearch()
        self._refreshed = Refreshed(path, settings)
        self._live = LiveLists(settings)
        self._writing = threading.Lock()
        self._opening = threading.Lock()
        self._proposals: tuple[tuple[int, int], Proposals | None] | None = None
        self._problems: tuple[float, list[Problem]] | None = None
        self._queue: tuple[Proposals | None, Live, ReviewQueue] | None = None
        self._runtimes: dict[str, Embedder] = {}

    # The library -------------------------------------------------------------------------

    def loaded(self) -> Loaded:
        """Returns the library as it was last read; see `tagkin.web.refreshing`.

        Raises:
            LibraryError: There is none, or it is damaged.
        """
        return self._refreshed.get()

    @property
    def library(self) -> Library:
        """The open library."""
        return self._refreshed.load().library

    @property
    def is_current(self) -> bool:
        """Whether searches see everything that is known to have changed."""
        return self._refreshed.is_current

    def live(self, *, surely: bool = False) -> Live:
        """Returns decisions and edits as they are on disk now.

        Args:
            surely: Whether to look now; else what another process did may be seen a moment later.
        """
        return self._live.get(self.library, surely=surely)

    @contextmanager
    def changing(self) -> Iterator[Library]:
        """Gives the library to store decisions or edits in, to one request at a time.

        So each of them is checked against those before it.
        """
        with self._writing:
            try:
                yield self.library
            finally:
                self._live.changed()
                self._refreshed.changed()

    def row(self, image: str) -> ImageRow:
        """Returns what the library stores of an image, looked up on disk.

        Raises:
            NotFoundError: There is no such image.
        """
        rows = self.loaded().rows_of([image])
        if not rows:
            raise NotFoundError(f"the library has no image {image!r} any more")
        return rows[0]

    def tags_of(self, row: ImageRow, live: Live | None = None) -> tuple[str, ...]:
        """Returns the tags that an image has now, the most frequent first."""
        now = live or self.live()
        return self.frequent_first(now.rules.wanted(now.edited.apply(row.id, row.tags)))

    def frequent_first(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Returns tags in the order of how many images carry them."""
        places = self._refreshed.load().collection.columns.tags.index
        return tuple(sorted(tags, key=lambda tag: places.get(tag, len(places))))

    def thumbnail(self, image: str, height: int) -> bytes:
        """Returns a thumbnail of an image as WebP.

        Raises:
            NotFoundError: There is no such image, or no file of it is as it was read.
        """
        self.loaded().need_position(image)
        return self.thumbnails.get(image, height, lambda: self.row(image).paths)

    def problems(self) -> list[Problem]:
        """Returns the files that could not be used, as they were some seconds ago at most."""
        known, now = self._problems, time.monotonic()
        if known is None or now - known[0] > _PROBLEMS_FOR:
            known = self._problems = now, self.library.problems()
        return known[1]

    # Review ------------------------------------------------------------------------------

    def proposals(self) -> Proposals | None:
        """Returns the variants last proposed; None if there are none.

        Raises:
            LibraryError: The file is damaged.
        """
        file = self.path / "proposals.json"
        try:
            found = file.stat()
            key = (found.st_mtime_ns, found.st_size)
        except OSError:
            key = (0, 0)
        known = self._proposals
        if known is None or known[0] != key:
            known = self._proposals = key, load_proposals(self.library)
        return known[1]

    def queue(self) -> ReviewQueue:
        """Returns the proposals, sorted by what was decided on them until now.

        Raises:
            LibraryError: The file of the proposals is damaged.
        """
        proposals, live = self.proposals(), self.live()
        known = self._queue
        if known is None or known[0] is not proposals or known[1] is not live:
            known = proposals, live, ReviewQueue.of(proposals, live.decisions, live.rules)
            self._queue = known
        return known[2]

    # Uploads -----------------------------------------------------------------------------

    def embed_upload(self, data: bytes, name: str, client: str) -> Upload:
        """Makes a vector of an uploaded image for the active backbone, and remembers it.

        Raises:
            NotReadyError: The library has no vectors yet.
            TooManyError, TooLargeError, NotAnImageError: It is refused.
        """
        loaded = self.loaded()
        config = loaded.need_config()
        with self.gate.entered(client):
            vector = self.embed(data, config, self._runtime(loaded, config))
            with refusing_uploads():
                small = make_thumbnail(data, USUAL_HEIGHT, upload_limits(self.settings))
        return self.uploads.add(name, config.fingerprint, vector, small)

    def upload_vector(self, loaded: Loaded, upload: Upload) -> NDArray[np.float32]:
        """Returns the vector of an upload.

        Raises:
            NotFoundError: Another backbone has become the active one since.
        """
        if loaded.config is None or upload.fingerprint != loaded.config.fingerprint:
            raise NotFoundError("the backbone was changed since the upload: send the image again")
        return upload.vector

    def embed(self, data: bytes, config: BackboneConfig, runtime: Embedder) -> NDArray[np.float32]:
        """Returns the vector of an uploaded image, float32 of shape (dimension,).

        Raises:
            TooLargeError, NotAnImageError: It is refused.
        """
        with refusing_uploads():
            views = decode_views(data, config, upload_limits(self.settings))
        return next(embed_views(runtime, [("upload", views)]))[1]

    def _runtime(self, loaded: Loaded, config: BackboneConfig) -> Embedder:
        if loaded.predictor and loaded.predictor.saved.config.fingerprint == config.fingerprint:
            return loaded.predictor.saved.backbone
        with self._opening:
            if config.fingerprint not in self._runtimes:
                opened = open_backbone(config, self.settings.cache_dir)
                self._runtimes = {config.fingerprint: opened}
            return self._runtimes[config.fingerprint]
