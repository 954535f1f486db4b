"""What may be said about a collection before it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from tagkin.remote_files import is_folder
from tagkin.sources.paths import ImagePaths


class SourceKeywords(TypedDict, total=False):
    """The fields of `SourceOptions`, as keyword arguments."""

    format: str | None
    separator: str | None
    allow_outside: bool
    allow_remote: bool
    columns: Mapping[str, str]
    images: Path | None
    folder_tags: bool
    flags: str | None
    tags_key: str | None


@dataclass(frozen=True)
class SourceOptions:
    """How a collection is to be read; each field has the name of an option of ``prepare``.

    Attributes:
        format: Name of the format; found out by the content if None.
        separator: What separates the tags within a cell of a table; detected if None, and each
            cell is a single tag if empty.
        allow_outside: Whether a table or dump may name files outside of its own folder.
        allow_remote: Whether a table or dump may name addresses on object stores and web servers.
        columns: Names of a table's columns, by what they mean: ``file``, ``tags``, ``weights`` and
            ``split``; guessed where there is none.
        images: Folder of the images of a table or dump, if it isn't the one that it lies in.
        folder_tags: Whether the names of the folders on the way to an image are tags of it.
        flags: Of a pr0gramm export, the flags whose items are read, such as ``sfw,nsfp``.
        tags_key: Where the tags are in a JSON sidecar: keys with dots between.
    """

    format: str | None = None
    separator: str | None = None
    allow_outside: bool = False
    allow_remote: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None
    folder_tags: bool = False
    flags: str | None = None
    tags_key: str | None = None

    def image_paths(self, manifest: Path, whose: str) -> ImagePaths:
        """Returns what makes paths of the names in a manifest.

        Args:
            manifest: The table or dump, or a folder of dumps.
            whose: What the folder of its images is called in messages.
        """
        folder = self.image_folder(manifest)
        return ImagePaths(folder, self.allow_outside, self.allow_remote, whose)

    def image_folder(self, manifest: Path) -> Path:
        """Returns the folder, absolute, from which the paths of a manifest start.

        Args:
            manifest: The table or dump, or a folder of dumps.
        """
        if self.images is not None:
            return self.images.absolute()
        return manifest.absolute() if is_folder(manifest) else manifest.absolute().parent
