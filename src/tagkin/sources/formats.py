"""The formats of collections, by the names that ``--format`` takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagkin.sources.booru import open_booru
from tagkin.sources.coco import open_coco
from tagkin.sources.csv_rows import open_csv
from tagkin.sources.deepdanbooru import open_deepdanbooru
from tagkin.sources.embedded import open_embedded
from tagkin.sources.folder import open_folder
from tagkin.sources.hydrus import open_hydrus
from tagkin.sources.imagefolder import open_imagefolder
from tagkin.sources.options import SourceOptions
from tagkin.sources.parquet_rows import open_parquet
from tagkin.sources.pr0gramm import open_pr0gramm
from tagkin.sources.record import Source
from tagkin.sources.table import open_rows
from tagkin.sources.webdataset import open_webdataset


@dataclass(frozen=True)
class Format:
    """A format of collections.

    Attributes:
        open: Opens a collection of this format.
        options: Those of `SourceOptions` that mean something for this format and not for all.
        takes_folders: Whether it can be a folder; else it is a file.
    """

    open: Callable[[Path, SourceOptions], Source]
    options: frozenset[str] = frozenset()
    takes_folders: bool = True


def _open_csv(path: Path, options: SourceOptions) -> Source:
    return open_rows(path, open_csv(path, options.columns), options)


def _open_parquet(path: Path, options: SourceOptions) -> Source:
    return open_rows(path, open_parquet(path, options.columns), options)


_TABLE = frozenset({"columns", "images"})
_WALK = frozenset({"folder_tags"})
_DUMP = frozenset({"images"})

FORMATS: dict[str, Format] = {
    "folder": Format(open_folder, _WALK),
    "csv": Format(_open_csv, _TABLE, takes_folders=False),
    "parquet": Format(_open_parquet, _TABLE, takes_folders=False),
    "booru": Format(open_booru, _DUMP),
    "deepdanbooru": Format(open_deepdanbooru, _DUMP, takes_folders=False),
    "pr0gramm": Format(open_pr0gramm, _DUMP | {"flags"}),
    "hydrus": Format(open_hydrus, _WALK | {"tags_key"}),
    "coco": Format(open_coco, _DUMP, takes_folders=False),
    "imagefolder": Format(open_imagefolder, _TABLE),
    "webdataset": Format(open_webdataset),
    "embedded": Format(open_embedded, _WALK),
}
