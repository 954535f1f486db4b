"""The shipped table: what each backbone costs on a machine that was measured.

``benchmarks/recommend.py --ratios`` makes it. Elsewhere its figures are scaled: speed by the
machine's own measurements, memory hardly depends on the machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("ratios.json")


@dataclass(frozen=True)
class Line:
    """Memory that grows with the images at once: ``fixed + per_image * images`` bytes."""

    fixed: float
    per_image: float

    def at(self, images: float, area: float = 1.0) -> float:
        """Returns bytes for so many images at once.

        Args:
            images: At once.
            area: Pixels of each, as a multiple of those that were measured.
        """
        return self.fixed + self.per_image * images * area


@dataclass(frozen=True)
class BackboneRatios:
    """One backbone on the reference machine; None where it was not measured.

    Attributes:
        image_size: Pixels a side that all of it holds for.
        in_memory: Images per second by precision, of the network alone.
        resident: Peak memory of ``embed`` by precision, for images in flight.
        first: Peak memory of a first long run, which loads two graphs to choose between them.
        export: Peak memory of the export.
        export_seconds: Its time.
        trunk_per_second: Images per second of the frozen layers in phase 2.
        tail_per_second: Images per second of its trained layers, an epoch.
        activation_bytes: On disk, for each view of an image.
        fine_tune: Peak memory of phase 2, by its batch.
    """

    image_size: int
    in_memory: Mapping[str, float]
    resident: Mapping[str, Line]
    first: float | None
    export: float | None
    export_seconds: float | None
    trunk_per_second: float | None
    tail_per_second: float | None
    activation_bytes: float | None
    fine_tune: Line | None

    def area(self, image_size: int) -> float:
        """Returns the pixels of an image as a multiple of those that the figures hold for."""
        return (image_size / self.image_size) ** 2


@dataclass(frozen=True)
class Ratios:
    """The whole table.

    Attributes:
        machine: The reference machine in words.
        made: The day, ISO 8601.
        cores: Of the reference machine.
        requests: That OpenVINO had under way there.
        anchor: Runs per second of the anchor network by precision.
        decode_seconds: Of one core, to read and decode an image of ``megapixels``, by pixels a
            side of the square that it becomes.
        megapixels: Of the images.
        overhead_seconds: Of the whole process, for each image beside network and decoding.
        head_seconds: Of phase 1, for each image and epoch.
        address_overhead: Bytes of addresses that a process reserves beyond its memory.
        classes: Speed of a core by instruction set and precision, as a multiple of the reference.
        backbones: By name.
    """

    machine: str
    made: str
    cores: int
    requests: int
    anchor: Mapping[str, float]
    decode_seconds: Mapping[str, float]
    megapixels: float
    overhead_seconds: float
    head_seconds: float
    address_overhead: float
    classes: Mapping[str, Mapping[str, float]]
    backbones: Mapping[str, BackboneRatios]


@cache
def shipped_ratios() -> Ratios:
    """Reads the table that comes with Tagkin."""
    return read_ratios(json.loads(_FILE.read_text("utf-8")))


def read_ratios(content: Mapping[str, Any]) -> Ratios:
    """Reads a table from its JSON types."""
    rows = {name: _backbone(row) for name, row in content["backbones"].items()}
    return Ratios(**{**content, "backbones": rows})


def _backbone(row: Mapping[str, Any]) -> BackboneRatios:
    resident = {precision: Line(*line) for precision, line in row["resident"].items()}
    tune = row["fine_tune"]
    return BackboneRatios(
        **{**row, "resident": resident, "fine_tune": Line(*tune) if tune else None}
    )
