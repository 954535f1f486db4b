"""What killed runs left behind: working folders and files that never got their names."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from tagkin.checking.findings import Finding
from tagkin.files import STALE_AFTER_SECONDS
from tagkin.library_state import DAMAGED, MENDED
from tagkin.locking import LOCK_PREFIX

_FOLDERS = ("", "taggers", "backbones", "fine-tuning/checkpoints", "indexes")


def check_leftovers(library: Path, *, repair: bool) -> Iterator[Finding]:
    """Yields what killed runs left in a library, once it is so old that no run can be using it."""
    for folder in _FOLDERS:
        for path in sorted((library / folder).glob(".*")):
            if path.name.startswith((LOCK_PREFIX, MENDED)) or not path.exists():
                continue
            age = time.time() - _newest(path)
            # A time far in the future is that of a clock that was wrong.
            if abs(age) < STALE_AFTER_SECONDS:
                what = "is being written, or was by a run that was killed"
                advice = "if it stays there, 'tagkin check --repair' removes it after a day"
                yield Finding("note", "leftovers", path, what, advice=advice)
                continue
            if repair:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            yield Finding(
                *("leftover", "leftovers", path, "a killed run left it"),
                advice="'tagkin check --repair' removes it",
                repaired="removed" if repair else None,
            )
    kept = library / DAMAGED
    if kept.is_dir() and (count := sum(1 for _ in kept.iterdir())):
        what = "what earlier repairs put aside"
        advice = "delete it when you are sure that nothing in it is missed"
        yield Finding("note", "damaged", kept, what, count, (), advice)


def _newest(path: Path) -> float:
    return max(p.lstat().st_mtime for p in (path, *path.rglob("*")))
