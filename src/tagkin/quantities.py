"""Sizes and times as people write them: ``16G``, ``8h``, ``90 min``."""

import re

from tagkin.errors import SettingsError

_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_MOST = 2**60


def parse_bytes(text: str) -> int:
    """Reads a size: ``16G``, ``16 GiB``, ``512MB``; the units are powers of 1,024.

    Raises:
        SettingsError: It is no size above 0.
    """
    found = re.fullmatch(rf"\s*{_NUMBER}\s*([kmgt]?)(?:i?b)?\s*", text, re.IGNORECASE | re.ASCII)
    size = float(found[1]) * _BYTES[found[2].lower()] if found else 0.0
    if not 1 <= size <= _MOST:
        raise SettingsError(f"{text!r} is no size of memory: write it like 16G or 512M")
    return int(size)


def parse_seconds(text: str) -> float:
    """Reads a time: ``8h``, ``90 min``, ``2 days``, ``1h30m``.

    Raises:
        SettingsError: It is no time above 0.
    """
    pattern = rf"\s*{_NUMBER}\s*([a-z]+)"
    total, rest = 0.0, text.lower()
    while found := re.match(pattern, rest, re.ASCII):
        if found[2] not in _UNITS:
            break
        total += float(found[1]) * _SECONDS[_UNITS[found[2]]]
        rest = rest[found.end() :]
    if rest.strip() or not 0 < total <= _MOST:
        raise SettingsError(f"{text!r} is no time: write it like 8h, 90min or 2d")
    return total


def format_bytes(size: float) -> str:
    """Returns a size in two or three digits, such as ``1.4 GiB``."""
    for unit, least in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= least:
            value = size / least
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{size:.0f} bytes"


def format_seconds(seconds: float) -> str:
    """Returns a time in two or three digits, such as ``1.4 h``."""
    for unit, length, least in (
        ("days", 86400.0, 2 * 86400.0),
        ("h", 3600.0, 5400.0),
        ("min", 60.0, 90.0),
    ):
        if seconds >= least:
            value = seconds / length
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
