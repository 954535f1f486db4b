"""Collections that benchmarks are given, as libraries."""

from pathlib import Path

from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source


def prepared(folder: Path, work: Path) -> tuple[Library, Settings]:
    """Prepares the ``tags.csv`` of a folder for the offline backbone in f32, if need be.

    Args:
        folder: Of the collection.
        work: Where the library is kept, for other runs.
    """
    settings = Settings(
        library=work / "library", model_architecture="efficientnet-lite0", precision="f32"
    )
    library = Library.create_or_open(settings.library)
    prepare(library, open_source(folder / "tags.csv"), settings)
    return library, settings
