"""A library that was read once is read again behind the requests when it has changed.

A request never waits for a whole library to be read again. After a change made by this server it
waits for a moment, in which a library of some hundred thousand images is read; one that is larger
is shown as it was until it has been read.
"""

import threading
import time
from pathlib import Path

from tagkin.errors import TagkinError
from tagkin.settings import Settings
from tagkin.web.loaded import Loaded, marker

_LOOK_EVERY = 2.0  # seconds, whether another process has changed the library
_PATIENCE = 1.0  # seconds that a request waits for what was changed here to be read again
_RESTS = 4  # times as long as reading took, between two readings


class Refreshed:
    """The library as it was last read; safe to be used by several threads.

    Args:
        path: Its folder.
        settings: With what the library remembers.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._loaded: Loaded | None = None
        self._loading = threading.Lock()
        self._seen = threading.Condition()
        self._changes = 0  # made here
        self._read_changes = 0  # of which the loaded library knows
        self._looked = 0.0
        self._refreshing = False
        self._reading = False
        self._cost = 0.0  # seconds that it took to read it again
        self._read_at = 0.0

    def load(self) -> Loaded:
        """Reads the library unless it was read before; what changed since isn't looked for.

        Raises:
            LibraryError: There is none, or it is damaged.
        """
        found = self._loaded
        if found is not None:
            return found
        with self._loading:
            if self._loaded is None:
                self._loaded = Loaded.read(self._path, self._settings)
                self._looked = time.monotonic()
            return self._loaded

    def get(self) -> Loaded:
        """Returns the library as it was last read, and has it read again if it has changed.

        Raises:
            LibraryError: There is none, or it is damaged.
        """
        self.load()
        with self._seen:
            behind = self._read_changes < self._changes
            if behind or time.monotonic() - self._looked > _LOOK_EVERY:
                self._start()
            if behind and self._cost <= _PATIENCE:
                self._seen.wait_for(lambda: self._read_changes >= self._changes, _PATIENCE)
        return self.load()

    @property
    def is_current(self) -> bool:
        """Whether it holds everything that is known to have changed."""
        with self._seen:
            return self._read_changes >= self._changes and not self._reading

    def changed(self) -> None:
        """Says that this server has changed the library."""
        with self._seen:
            self._changes += 1

    def _start(self) -> None:
        if not self._refreshing:
            self._refreshing = True
            threading.Thread(target=self._refresh, name="refresh", daemon=True).start()

    def _refresh(self) -> None:
        try:
            while True:
                changes = self._changes
                new = self._read_if_changed()
                with self._seen:
                    self._loaded = new or self._loaded
                    self._read_changes = changes
                    self._looked = time.monotonic()
                    self._seen.notify_all()
                    if self._changes == changes:
                        self._refreshing = False
                        return
        except Exception as error:  # it is looked at again in a while
            with self._seen:
                self._read_changes = self._changes
                self._looked = time.monotonic()
                self._refreshing = False
                self._seen.notify_all()
            if not isinstance(error, TagkinError):  # or another process is just replacing it
                raise

    def _read_if_changed(self) -> Loaded | None:
        known = self.load()
        if marker(known.library) == known.marker:
            return None
        # A large library isn't read again for each of a hundred edits in a row.
        rest = self._read_at + _RESTS * self._cost - time.monotonic()
        if rest > _PATIENCE:
            time.sleep(rest)
        started = time.monotonic()
        self._reading = True
        try:
            return Loaded.read(self._path, self._settings, known)
        finally:
            self._reading = False
            self._read_at = time.monotonic()
            self._cost = self._read_at - started
