"""Any ONNX file as a frozen backbone, with a small JSON beside it that says how to use it.

OpenVINO reads the file, so that the onnx package is not needed. `onnx_description` has the JSON.
"""

import hashlib
import json
import mmap
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagkin.backbones.graphs import Layout, save_smallest, smooth_images, take_pixels
from tagkin.backbones.onnx_description import Description, read_description
from tagkin.backbones.onnx_graphs import open_onnx
from tagkin.errors import BackboneError, WeightsError
from tagkin.files import checksum

_LONGEST_NAME = 60
# How an ONNX file names a file of its weights: an entry (key 'location', value) of a map.
_LOCATION = b"\x0a\x08location\x12"


@dataclass(frozen=True)
class OnnxBackbone:
    """An ONNX file that can be used as a backbone.

    Attributes:
        path: Of the ONNX file.
        image_size: Pixels a side.
        dimension: Length of the vector.
        digest: 32 hexadecimal digits that change with the ONNX file, the files of its weights,
            and what the JSON says, but not with how it says it.
        name: From the name of the file, of ``A-Z a-z 0-9 . _ -`` only.
    """

    path: Path
    image_size: int
    dimension: int
    digest: str
    name: str


@dataclass(frozen=True)
class _Opened:
    """A graph cut down to one image input of fixed shape and one output of (1, dimension)."""

    graph: Any
    layout: Layout
    image_size: int
    description: Description


def describe_onnx(path: Path) -> OnnxBackbone:
    """Returns what can be known of an ONNX backbone without running it.

    Args:
        path: The ONNX file; its JSON lies beside it.

    Raises:
        WeightsError: A file is missing, damaged or no ONNX file.
        BackboneError: What the JSON says is wrong, or doesn't give one vector per image.
    """
    opened = _open(path)
    return OnnxBackbone(
        path=path,
        image_size=opened.image_size,
        dimension=int(opened.graph.output(0).shape[1]),
        digest=_digest(path, opened),
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:_LONGEST_NAME].strip("-.") or "unnamed",
    )


def export_onnx(path: Path, folder: Path, digest: str | None = None) -> None:
    """Writes ``model.xml`` and ``model.bin`` of an ONNX backbone, with its preprocessing in them.

    The graph takes uint8 RGB of shape (1, size, size, 3) and gives float32 of shape
    (1, dimension). Weights are stored in half precision if the vectors stay the same to a cosine
    of 0.99999, else in single precision.

    Args:
        path: The ONNX file; its JSON lies beside it.
        folder: An existing folder.
        digest: Of the backbone that is wanted; None for what the files are now.

    Raises:
        WeightsError: A file is missing, damaged, no ONNX file, or not what ``digest`` says.
        BackboneError: What the JSON says is wrong, or the vectors are not finite numbers.
    """
    opened = _open(path)
    description = opened.description
    if digest not in (None, _digest(path, opened)):
        raise WeightsError(
            f"{path}, or the JSON beside it, is not the one that the vectors were made with: put "
            "that one back, or run 'tagkin embed' to make the vectors again"
        )
    graph = take_pixels(
        opened.graph,
        opened.layout,
        reverse_channels=description.colour_order == "BGR",
        mean=[mean / description.rescale for mean in description.mean],
        std=[std / description.rescale for std in description.std],
    )

    def check(vectors: NDArray[np.float32]) -> None:
        if not np.isfinite(vectors).all():
            raise BackboneError(
                f"{path} gives vectors that are not finite numbers: check mean, std and rescale in "
                "the JSON beside it, or use an export in single precision (fp32)"
            )

    save_smallest(graph, folder, smooth_images(opened.image_size), check)


def _open(path: Path) -> _Opened:
    if not path.is_file():
        raise WeightsError(f"there is no ONNX file {path}: give the path of one after 'onnx:'")
    description = read_description(path)
    for data in _weight_files(path):
        if not data.is_file():
            raise WeightsError(
                f"{path} keeps its weights in {data}, which is missing: put it there as well"
            )
    graph, layout = open_onnx(path, description)
    image_size = int(graph.input(0).shape[2])  # which is a side of the image in both layouts
    return _Opened(graph, layout, image_size, description)


def _digest(path: Path, opened: _Opened) -> str:
    # With the image size that the ONNX file fixes, whether the JSON repeats it or not.
    said = replace(opened.description, image_size=opened.image_size)
    try:
        sums = [checksum(file) for file in (path, *_weight_files(path))]
    except OSError as error:
        raise WeightsError(f"can't read {path} or its weights: {error}") from error
    return hashlib.blake2b(json.dumps([*sums, said.to_json()]).encode(), digest_size=16).hexdigest()


def _weight_files(path: Path) -> list[Path]:
    """Returns the files that an ONNX file keeps weights in, in the order of their names.

    Found by how such a reference is written, which spares the tree of protocol buffers around it.
    """
    names = set()
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:  # can't be mapped
                return []
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                place = content.find(_LOCATION)
                while place >= 0:
                    place += len(_LOCATION)
                    names.add(_text(content[place : place + 4096]))
                    place = content.find(_LOCATION, place)
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error}") from error
    return [path.parent / name for name in sorted(names)]


def _text(field: bytes) -> str:
    """Returns the text of a protocol buffer's field that starts with its length."""
    length, start = field[0] & 127, 1
    if field[0] > 127:  # seven bits a byte, the lowest first; two bytes suffice for a path
        length, start = length | field[1] << 7, 2
    return field[start : start + length].decode("utf-8", "replace")
