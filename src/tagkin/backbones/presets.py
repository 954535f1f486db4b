"""Preset folders of Keras Hub: a network's description and its weights, side by side."""

import hashlib
from pathlib import Path

from tagkin.errors import WeightsError
from tagkin.files import checksum

_DESCRIPTION = "config.json"

# One file, or several and their table: model.weights.h5, model_00000.weights.h5 and so on.
_WEIGHTS = "model[._-]*"


def preset_digest(folder: Path) -> str:
    """Returns the BLAKE2b-128 of what decides about the vectors, as 32 hexadecimal digits.

    That is ``config.json`` and the weights. Keras Hub also writes the date, the classifier and
    the preprocessing beside them, none of which Tagkin reads.

    Args:
        folder: As ``save_to_preset`` of a Keras Hub backbone or classifier writes it.

    Raises:
        WeightsError: The folder isn't such a preset, or can't be read.
    """
    try:
        weights = sorted(path for path in folder.glob(_WEIGHTS) if path.is_file())
        description = folder / _DESCRIPTION
        if not description.is_file() or not weights:
            raise WeightsError(
                f"{folder} is not a preset of Keras Hub, which holds {_DESCRIPTION} and "
                "model.weights.h5: give --weights such a folder or a weight file"
            )
        digest = hashlib.blake2b(digest_size=16)
        for path in [description, *weights]:
            digest.update(f"{path.name} {checksum(path)}\n".encode())
    except OSError as error:
        raise WeightsError(f"can't read the preset {folder}: {error}") from error
    return digest.hexdigest()
