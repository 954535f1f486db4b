"""Which backbone exactly: everything that decides what its vectors are, and their fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagkin.backbones.catalogue import get_spec
from tagkin.backbones.lite0 import packaged_weights
from tagkin.backbones.presets import preset_digest
from tagkin.backbones.runtime import Arithmetic
from tagkin.errors import BackboneError, WeightsError
from tagkin.files import checksum
from tagkin.settings import Settings, View
from tagkin.views import wanted_views

#: Seed of random weights, so that the same name always means the same numbers.
RANDOM_SEED = 0

#: What precedes the path of an ONNX file where the name of a backbone is expected.
ONNX = "onnx:"

# Raised when a change to the export, or to how images are decoded and fitted, changes the vectors.
_EXPORT_RECIPE, _PIXEL_RECIPE = 1, 2


@dataclass(frozen=True)
class BackboneConfig:
    """A backbone with its weights, image size, preprocessing and precision.

    Attributes:
        architecture: Name in the catalogue, or ``onnx:`` and the name of an ONNX file.
        weights: ``imagenet``, ``random``, or the path of a weight file or ONNX file.
        weights_digest: What the weights are: a digest of the file, or a fixed name.
        image_size: Pixels a side.
        views: How an image is made square; the vectors of several views are averaged.
        precision: ``f32``, ``bf16``, ``f16`` (made on a GPU) or ``int8``.
        dimension: Length of the embedding.
        calibration: Digest of the images that an int8 graph was calibrated with; else empty.
    """

    architecture: str
    weights: str
    weights_digest: str
    image_size: int
    views: tuple[View, ...]
    precision: Arithmetic
    dimension: int
    calibration: str = ""

    @property
    def fingerprint(self) -> str:
        """Names these vectors; equal fingerprints mean vectors that can be compared."""
        random = "random-" if self.weights == "random" else ""
        views = "+".join(self.views)
        more: list[str | int] = [_PIXEL_RECIPE, views, self.precision]
        if self.calibration:
            more.append(self.calibration)
        return (
            f"{self._name}-{random}{self.image_size}-{views}-{self.precision}-{self._digest(*more)}"
        )

    @property
    def graph_key(self) -> str:
        """Names the exported graph, which is the same for all views and precisions but int8."""
        if self.precision == "int8":
            return f"{self._name}-{self.image_size}-int8-{self._digest(self.calibration)}"
        return f"{self._name}-{self.image_size}-{self._digest()}"

    @property
    def is_onnx(self) -> bool:
        """Whether the backbone is an ONNX file."""
        return self.architecture.startswith(ONNX)

    @property
    def _name(self) -> str:
        return self.architecture.replace(":", "-")

    def _digest(self, *more: str | int) -> str:
        parts = [self.architecture, self.weights_digest, self.image_size, _EXPORT_RECIPE, *more]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return {**asdict(self), "views": list(self.views)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "BackboneConfig":
        """Returns the config whose ``to_dict`` gave ``fields``."""
        fields = dict(fields)
        if "fit" in fields:  # as libraries had it when there was one view only
            fields["views"] = [fields.pop("fit")]
        try:
            return cls(**{**fields, "views": tuple(fields["views"])})
        except (TypeError, KeyError) as error:
            raise BackboneError(f"the stored description of a backbone is damaged: {error}") from (
                error
            )


def describe_backbone(settings: Settings, precision: Arithmetic = "f32") -> BackboneConfig:
    """Returns the backbone that the settings name, at a given precision.

    Args:
        settings: Architecture, weights, image size, fit and views.
        precision: What ``settings.precision`` comes to; see `resolve_backbone`.

    Raises:
        BackboneError: The architecture is unknown, or the ONNX file can't be used.
        WeightsError: The weight file can't be read.
    """
    views = wanted_views(settings)
    if settings.model_architecture.startswith(ONNX):
        return _describe_onnx(settings, views, precision)
    spec = get_spec(settings.model_architecture)
    return BackboneConfig(
        architecture=spec.name,
        weights=settings.weights,
        weights_digest=_weights_digest(settings.weights, spec.kind),
        image_size=settings.image_size or spec.image_size,
        views=views,
        precision=precision,
        dimension=spec.dimension,
    )


def _describe_onnx(
    settings: Settings, views: tuple[View, ...], precision: Arithmetic
) -> BackboneConfig:
    from tagkin.backbones.onnx_files import describe_onnx  # takes OpenVINO with it

    # Not resolved: the files may be links, and the JSON lies beside the link.
    path = Path(settings.model_architecture.removeprefix(ONNX)).expanduser().absolute()
    known = describe_onnx(path)
    if settings.image_size not in (None, known.image_size):
        raise BackboneError(
            f"{path} takes images of {known.image_size} pixels, not {settings.image_size}: leave "
            "--image-size out, or change image_size in the JSON beside the file"
        )
    return BackboneConfig(
        architecture=f"{ONNX}{known.name}",
        weights=str(path),
        weights_digest=known.digest,
        image_size=known.image_size,
        views=views,
        precision=precision,
        dimension=known.dimension,
    )


def _weights_digest(weights: str, kind: str) -> str:
    if weights == "random":
        return f"random-{RANDOM_SEED}"
    if weights == "imagenet" and kind == "download":
        return "imagenet"
    path = packaged_weights() if weights == "imagenet" else Path(weights)
    if path.is_dir():
        return preset_digest(path)
    if not path.is_file():
        raise WeightsError(
            f"there is no weight file {path}: give --weights the path of a file, 'imagenet' or "
            "'random'"
        )
    try:
        return checksum(path)
    except OSError as error:
        raise WeightsError(f"can't read the weight file {path}: {error}") from error
