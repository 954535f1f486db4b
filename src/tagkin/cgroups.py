"""What Linux's control groups leave to this process, as containers and services are limited.

Both versions are read: cgroup v2 (one tree, ``cpu.max``, ``memory.max``) and v1 (a tree for each
controller, ``cpu.cfs_quota_us``, ``memory.limit_in_bytes``). Limits of all groups above count too.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_ROOT = Path("/")
_NO_LIMIT = 2**60  # v1 writes a number near 2**63 where there is none

Value = TypeVar("Value", int, float)


@dataclass(frozen=True)
class MemoryLimit:
    """What a group may use.

    Attributes:
        limit: Bytes.
        left: Bytes that are not used yet, files kept in memory counted as free.
    """

    limit: int
    left: int


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Returns how many processors' time this process may use; None if that isn't limited.

    Args:
        root: What stands for ``/``, for tests.
    """
    found = _each(root, "cpu", _quota_v1, _quota_v2)
    return min(found, default=None)


def memory_limit(root: Path = _ROOT) -> MemoryLimit | None:
    """Returns the memory that this process may use; None if that isn't limited.

    Args:
        root: What stands for ``/``, for tests.
    """
    limits = [
        found
        for folder, version in _folders(root, "memory")
        if (found := _memory(folder, version)) is not None
    ]
    if not limits:
        return None
    return MemoryLimit(min(m.limit for m in limits), min(m.left for m in limits))


def _each(
    root: Path,
    controller: str,
    v1: Callable[[Path], Value | None],
    v2: Callable[[Path], Value | None],
) -> list[Value]:
    found = []
    for folder, version in _folders(root, controller):
        value = (v1 if version == 1 else v2)(folder)
        if value is not None:
            found.append(value)
    return found


def _folders(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Yields the folders of this process's groups and of those above, with the version."""
    groups = _groups(root)
    for mount in _lines(root / "proc/self/mountinfo"):
        fields = mount.split()
        with suppress(ValueError, IndexError):
            kind, _, options = fields[fields.index("-") + 1 :][:3]
            if kind == "cgroup2":
                version, group = 2, groups.get("")
            elif kind == "cgroup" and controller in options.split(","):
                version, group = 1, groups.get(controller)
            else:
                continue
            if group is None:
                continue
            point = root / fields[4].lstrip("/")
            for folder in _upwards(point, fields[3], group):
                yield folder, version


def _upwards(point: Path, mounted: str, group: str) -> Iterator[Path]:
    """Yields the folder of a group and of those above it.

    Args:
        point: Where the tree is mounted.
        mounted: The group that is seen there; ``/`` unless a container sees a part only.
        group: Of this process.
    """
    inside = group.removeprefix(mounted.rstrip("/")).strip("/")
    parts = [] if ".." in inside.split("/") else [part for part in inside.split("/") if part]
    for length in range(len(parts), -1, -1):
        folder = point.joinpath(*parts[:length])
        if folder.is_dir():  # in a container, the path may be that of the host
            yield folder


def _groups(root: Path) -> dict[str, str]:
    """Returns the group of this process by controller; that of version 2 under no name."""
    groups = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(","):
            groups[controller] = group
    return groups


def _quota_v2(folder: Path) -> float | None:
    with suppress(ValueError):
        quota, period = _text(folder / "cpu.max").split()
        return _positive(int(quota) / int(period)) if quota != "max" and int(period) else None
    return None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return _positive(quota / period) if quota and period else None


def _positive(value: float) -> float | None:
    return value if value > 0 else None


def _memory(folder: Path, version: int) -> MemoryLimit | None:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    if version == 2:
        names = ("memory.max", "memory.current", "inactive_file")
    limit, used = _number(folder / names[0]), _number(folder / names[1]) or 0
    if limit is None or not 0 < limit < _NO_LIMIT:
        return None
    cached = 0
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name == names[2] and value.isdecimal():
            cached = int(value)
    return MemoryLimit(limit, max(0, limit - max(0, used - cached)))


def _number(path: Path) -> int | None:
    with suppress(ValueError):
        return int(_text(path))
    return None


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace").strip()
    return ""
