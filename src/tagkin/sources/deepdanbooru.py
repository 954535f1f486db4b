"""The SQLite database of a DeepDanbooru project: a table of posts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tagkin.errors import SourceError
from tagkin.sources.booru import NOT_FOUND, VIDEO, VIDEO_EXTENSIONS
from tagkin.sources.options import SourceOptions
from tagkin.sources.paths import DumpImages, ImagePaths
from tagkin.sources.record import ImageRecord, Item, SourceProblem
from tagkin.sources.text import clean_tags

SQLITE_MAGIC = b"SQLite format 3\0"

_NEEDED = ("md5", "file_ext", "tag_string")


@dataclass(frozen=True)
class DeepDanbooruSource:
    """The rows of the table ``posts``.

    Attributes:
        path: The database.
        images: Where the images are.
    """

    path: Path
    images: ImagePaths

    @property
    def name(self) -> str:
        """The convention in one word."""
        return "deepdanbooru"

    @property
    def description(self) -> str:
        """How the source was understood."""
        return f"DeepDanbooru database {self.path}, images by their MD5 in {self.images.folder}"

    def __iter__(self) -> Iterator[Item]:
        """Reads the table; damage ends it with a problem."""
        found = DumpImages(self.images)
        try:
            with closing(_connect(self.path)) as database:
                for row in database.execute("SELECT rowid, md5, file_ext, tag_string FROM posts"):
                    try:
                        yield _read(*row[1:], images=found)
                    except ValueError as error:
                        yield SourceProblem(self.path, f"row {row[0]}: {error}")
        except sqlite3.Error as error:
            yield SourceProblem(self.path, f"the rest of the table can't be read: {error}")

    def count(self) -> Iterator[None]:
        """Counts the rows."""
        try:
            with closing(_connect(self.path)) as database:
                ((rows,),) = database.execute("SELECT count(*) FROM posts")
        except sqlite3.Error:
            rows = 0
        return (None for _ in range(rows))


def open_deepdanbooru(path: Path, options: SourceOptions) -> DeepDanbooruSource:
    """Opens a database.

    Raises:
        SourceError: It isn't one of SQLite, or has no such table.
    """
    try:
        with closing(_connect(path)) as database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(posts)")]
            if not columns:
                kinds = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                tables = ", ".join(str(row[0])[:40] for row in kinds.fetchmany(10)) or "none"
                raise SourceError(f"{path} has no table 'posts'; its tables are: {tables}")
    except sqlite3.Error as error:
        raise SourceError(f"{path} can't be read as an SQLite database: {error}") from error
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise SourceError(
            f"the table 'posts' of {path} lacks the column {missing[0]!r}; it has: "
            f"{', '.join(columns[:20])}"
        )
    images = ImagePaths(
        options.image_folder(path),
        options.allow_outside,
        options.allow_remote,
        "the folder of the images",
    )
    return DeepDanbooruSource(path.absolute(), images)


def _connect(path: Path) -> sqlite3.Connection:
    # Immutable, so that neither a journal is written beside it nor one that lies there is run.
    uri = f"file:{quote(str(path.absolute()), errors='surrogateescape')}?mode=ro&immutable=1"
    database = sqlite3.connect(uri, uri=True, check_same_thread=False)
    database.text_factory = lambda data: data.decode("utf-8", "replace")
    return database


def _read(md5: object, extension: object, tags: object, *, images: DumpImages) -> Item:
    if not (isinstance(md5, str) and isinstance(extension, str)):
        raise ValueError("its MD5 or extension is no text")
    if not isinstance(tags, str | None):
        raise ValueError("its tag_string is no text")
    if extension.lower() in VIDEO_EXTENSIONS:
        return VIDEO
    path = images.find(md5, extension)
    if path is None:
        return NOT_FOUND
    return ImageRecord(path, tuple(dict.fromkeys(clean_tags((tags or "").split()))))
