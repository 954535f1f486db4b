"""The proposals that a library keeps, so that later commands can say which of them they mean."""

import json

from tagkin.errors import LibraryError
from tagkin.library import Library
from tagkin.variants.proposals import Proposals

PROPOSALS_FILE = "proposals.json"


def save_proposals(library: Library, proposals: Proposals) -> None:
    """Stores proposals in a library in place of the last ones, in one step.

    Raises:
        LibraryError: The library can't be written.
    """
    path = library.path / PROPOSALS_FILE
    try:
        library.write_file(PROPOSALS_FILE, json.dumps(proposals.to_dict()).encode())
    except OSError as error:
        raise LibraryError(f"can't write {path}: {error}") from error


def load_proposals(library: Library) -> Proposals | None:
    """Returns the proposals that a library keeps; None if there are none yet.

    Raises:
        LibraryError: The file is damaged.
    """
    path = library.path / PROPOSALS_FILE
    try:
        return Proposals.from_dict(json.loads(library.read_file(PROPOSALS_FILE).decode("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"{path} is damaged ({error!r}): run 'tagkin variants' to make it again"
        ) from error
