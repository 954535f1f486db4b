"""The JSON beside an ONNX file: how the network takes its images, and what its vector is.

`Description` has the fields. A pixel, which is 0 to 255, becomes
``(pixel * rescale - mean) / std``, as in the ``preprocessor_config.json`` of Hugging Face, where
these numbers are ``rescale_factor``, ``image_mean`` and ``image_std``.
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from tagkin.errors import BackboneError, WeightsError

Triple = tuple[float, float, float]

EXAMPLE = """\
{
  "image_size": 224,
  "mean": [0.485, 0.456, 0.406],
  "std": [0.229, 0.224, 0.225]
}"""

# What the same things are called elsewhere, where the most similar name would be a wrong hint.
_ELSEWHERE = {
    "image_mean": "mean",
    "image_std": "std",
    "rescale_factor": "rescale",
    "size": "image_size",
    "input_size": "image_size",
    "crop_size": "image_size",
    "channel_order": "colour_order",
}
_LARGEST, _SMALLEST = 1e6, 1e-6
_SIZES = range(8, 2049)


@dataclass(frozen=True)
class Description:
    """What the JSON beside an ONNX file says; ``mean`` and ``std`` must be there.

    Attributes:
        mean: Of each channel, after ``rescale``, in the order of ``colour_order``.
        std: Of each channel, likewise.
        rescale: What the pixels, 0 to 255, are multiplied by first.
        image_size: Pixels a side; None if the ONNX file itself fixes it.
        colour_order: Of the network's input channels.
        output: Name of an output, an inner tensor or a node; or the number of an output,
            counted from 0; None if there is one output only.
        pooling: What makes one vector of (1, tokens, dimension): ``first`` takes the first token,
            ``mean`` the mean of all; None if the output is a vector already.
    """

    mean: Triple
    std: Triple
    rescale: float = 1 / 255
    image_size: int | None = None
    colour_order: Literal["RGB", "BGR"] = "RGB"
    output: str | int | None = None
    pooling: Literal["first", "mean"] | None = None

    def to_json(self) -> str:
        """Returns the same text for every way of writing the same description."""
        return json.dumps(asdict(self), sort_keys=True)


def read_description(path: Path) -> Description:
    """Reads the JSON that belongs to an ONNX file.

    Args:
        path: The ONNX file. Beside ``model.onnx`` it is ``model.json`` or ``model.onnx.json``.

    Raises:
        WeightsError: There is no JSON, or it can't be read.
        BackboneError: There are two, or what it says is not a description.
    """
    places = (path.with_suffix(".json"), path.with_name(f"{path.name}.json"))
    there = [place for place in dict.fromkeys(places) if place.is_file()]
    if not there:
        raise WeightsError(
            f"there is no {places[0]}, which says how {path.name} takes its images. Write it with "
            f"the values of the model's preprocessor_config.json or model card, such as\n{EXAMPLE}"
        )
    if len(there) > 1:
        raise BackboneError(f"{there[0]} and {there[1]} both describe {path.name}: delete one")
    try:
        content = json.loads(there[0].read_text("utf-8-sig"))
    except OSError as error:
        raise WeightsError(f"can't read {there[0]}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BackboneError(
            f"{there[0]} is not valid JSON ({error}): write it such as\n{EXAMPLE}"
        ) from error
    return parse_description(content, str(there[0]))


def parse_description(content: Any, source: str) -> Description:
    """Returns the description that a JSON value stands for.

    Args:
        content: What ``json.loads`` returned.
        source: Where it is from, for messages.

    Raises:
        BackboneError: A field is unknown, missing or impossible; the message says which.
    """
    if not isinstance(content, Mapping):
        raise BackboneError(f"{source} is not a JSON object: write it such as\n{EXAMPLE}")
    valid = [field.name for field in fields(Description)]
    for name in content:
        if name not in valid:
            raise BackboneError(f"{source}: {_unknown(str(name), valid)}")
    if missing := [name for name in ("mean", "std") if name not in content]:
        raise BackboneError(
            f"{source} lacks {' and '.join(missing)}: a pixel becomes (pixel * rescale - mean) / "
            'std, so write "mean": 0, "std": 1 if the network wants none of it'
        )
    given = {name: value for name, value in content.items() if value is not None}
    try:
        return _parse(given)
    except ValueError as error:
        raise BackboneError(f"{source}: {error}") from None


def _parse(given: Mapping[str, Any]) -> Description:
    rescale = _number("rescale", given.get("rescale", 1 / 255), least=_SMALLEST)
    mean = _triple("mean", given.get("mean"), least=0.0)
    if max(mean) > 255.001 * rescale:
        raise ValueError(
            f"mean is {max(mean):g}, but pixels reach {255 * rescale:g} after rescale: if mean and "
            'std are for pixels of 0 to 255, add "rescale": 1'
        )
    size, output = given.get("image_size"), given.get("output")
    if size is not None and (not _is_integer(size) or size not in _SIZES):
        raise ValueError(
            f"image_size is {_short(size)}, not a whole number from {_SIZES[0]} to {_SIZES[-1]}"
        )
    if not (output is None or isinstance(output, str) or (_is_integer(output) and output >= 0)):
        raise ValueError(f"output is {_short(output)}, neither a name nor a number from 0")
    return Description(
        mean=mean,
        std=_triple("std", given.get("std"), least=_SMALLEST),
        rescale=rescale,
        image_size=size,
        colour_order=_choice("colour_order", given.get("colour_order", "RGB"), ("RGB", "BGR")),
        output=output,
        pooling=_choice("pooling", given.get("pooling"), ("first", "mean", None)),
    )


def _unknown(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), valid, 1)
    meant = _ELSEWHERE.get(name, close[0] if close else None)
    hint = f"; did you mean {meant!r}?" if meant else "."
    return f"there is no field {name!r}{hint} Valid fields: {', '.join(valid)}"


def _number(name: str, value: Any, *, least: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} is {_short(value)}, not a number")
    # Compared before anything else, since neither NaN nor an integer of 400 digits passes.
    if not least <= value <= _LARGEST:
        raise ValueError(f"{name} is {_short(value)}, not between {least:g} and {_LARGEST:g}")
    return math.fabs(value)  # without the sign of -0.0


def _triple(name: str, value: Any, *, least: float) -> Triple:
    values = value if isinstance(value, list) else [value] * 3
    if len(values) != 3:
        raise ValueError(f"{name} has {len(values)} numbers: write one, or three for the channels")
    first, second, third = (_number(name, each, least=least) for each in values)
    return first, second, third


def _choice(name: str, value: Any, valid: tuple[Any, ...]) -> Any:
    if isinstance(value, list | dict) or value not in valid:
        names = " or ".join(repr(choice) for choice in valid if choice)
        raise ValueError(f"{name} is {_short(value)}, not {names}")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:40]}..."
