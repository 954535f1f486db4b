"""Values as JSON has them."""

import math
from collections.abc import Mapping
from typing import Any


def to_json_types(value: Any) -> Any:
    """Returns JSON types only: no NaN, no infinity, no NumPy, no tuple, no path."""
    if isinstance(value, Mapping):
        return {str(key): to_json_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_types(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):  # a scalar of NumPy
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
