"""The small real collection that comes with Tagkin."""

from importlib.resources import files
from pathlib import Path


def demo_collection() -> Path:
    """Returns the table of the demo collection: public-domain drawings with their users' tags."""
    return Path(str(files("tagkin"))) / "demo_collection" / "tags.csv"
