"""Measurements of this machine in the cache folder, so that each is made once."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tagkin import __version__
from tagkin.files import atomic_file
from tagkin.hardware import processor_name, usable_cores

_FOLDER = "measurements"


@dataclass(frozen=True)
class Measurement:
    """One backbone at one image size on this machine, embedding image files.

    Attributes:
        architecture: Name of the backbone.
        image_size: Pixels a side.
        precision: Arithmetic.
        images_per_second: From files to stored vectors.
        in_memory: Images per second of the network alone.
        decode_seconds: Of one core, for each image.
        resident: Peak memory in bytes.
        addresses: Peak of reserved addresses in bytes.
        requests: Images in flight.
        images: That were embedded for it.
        ulimit: The limit of addresses under which it ran; None if there was none.
    """

    architecture: str
    image_size: int
    precision: str
    images_per_second: float
    in_memory: float
    decode_seconds: float
    resident: int
    addresses: int
    requests: int
    images: int
    ulimit: int | None = None


@dataclass
class Measurements:
    """What is known of this machine.

    Attributes:
        anchor: Runs per second of the anchor network by precision; empty if it was not run.
        requests: That OpenVINO has under way; 0 if not known.
        rows: The latest measurement of each backbone, size and precision.
        failed: Backbones that could not be run here, with the reason.
    """

    anchor: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    rows: list[Measurement] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def find(self, architecture: str, image_size: int, precision: str) -> Measurement | None:
        """Returns a measurement; None if there is none."""
        for row in self.rows:
            if (row.architecture, row.image_size, row.precision) == (
                architecture,
                image_size,
                precision,
            ):
                return row
        return None

    def add(self, new: Measurement) -> None:
        """Adds a measurement in place of an older one of the same."""
        self.failed.pop(new.architecture, None)
        old = self.find(new.architecture, new.image_size, new.precision)
        self.rows = [row for row in self.rows if row is not old] + [new]


def load_measurements(cache_dir: Path) -> Measurements:
    """Returns what was measured with this processor, these cores and these versions."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        content = json.loads(_file(cache_dir).read_text("utf-8"))
        return Measurements(
            anchor={str(name): float(rate) for name, rate in content["anchor"].items()},
            requests=int(content["requests"]),
            rows=[Measurement(**row) for row in content["rows"]],
            failed={str(name): str(why) for name, why in content["failed"].items()},
        )
    return Measurements()


def save_measurements(measurements: Measurements, cache_dir: Path) -> None:
    """Stores them; not being able to is no reason to fail."""
    content: Mapping[str, Any] = {"machine": _machine(), **asdict(measurements)}
    with suppress(OSError):
        path = _file(cache_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _file(cache_dir: Path) -> Path:
    digest = hashlib.blake2b(json.dumps(_machine()).encode(), digest_size=6).hexdigest()
    return cache_dir / _FOLDER / f"{digest}.json"


def _machine() -> list[str]:
    ceiling = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    versions = f"openvino {version('openvino')}, tagkin {__version__}"
    return [processor_name(), f"{usable_cores()} cores", versions, ceiling]
