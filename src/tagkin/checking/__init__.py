"""``check``: whether a library is whole, and how it is mended.

`check_library` goes from what rests on nothing to what rests on it: ``library.json`` (`state`);
the tables, fragment by fragment (`tables`, with `fragments`, `manifests` and `versions`); the rows
of images with their files (`image_rows`, `image_files`), vectors (`vector_rows`), decisions, edits
and proposals (`entries`); taggers and fine-tunings (`saved`); the cache (`graphs`); and what killed
runs left (`leftovers`). `aside` is where a repair puts what can't be read.
"""

from tagkin.checking.check import check_library
from tagkin.checking.findings import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check_library"]
