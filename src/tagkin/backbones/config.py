"""Which backbone exactly: everything that decides what its vectors are, and their fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tagkin.backbones.catalogue import get_spec
from tagkin.backbones.lite0 import packaged_weights
from tagkin.errors import BackboneError, WeightsError
from tagkin.files import checksum
from tagkin.hardware import processor_flags
from tagkin.settings import Fit, Settings

#: Seed of random weights, so that the same name always means the same numbers.
RANDOM_SEED = 0

# Raised when a change to the preprocessing or the export changes the vectors.
_RECIPE = 1


@dataclass(frozen=True)
class BackboneConfig:
    """A backbone with its weights, image size, preprocessing and precision.

    Attributes:
        architecture: Name in the catalogue.
        weights: ``imagenet``, ``random``, or the path of a weight file.
        weights_digest: What the weights are: a digest of the file, or a fixed name.
        image_size: Pixels a side.
        fit: How an image is made square.
        precision: ``f32`` or ``bf16``.
        dimension: Length of the embedding.
    """

    architecture: str
    weights: str
    weights_digest: str
    image_size: int
    fit: Fit
    precision: Literal["f32", "bf16"]
    dimension: int

    @property
    def fingerprint(self) -> str:
        """Names these vectors; equal fingerprints mean vectors that can be compared."""
        random = "random-" if self.weights == "random" else ""
        return (
            f"{self.architecture}-{random}{self.image_size}-{self.fit}-{self.precision}-"
            f"{self._digest(self.fit, self.precision)}"
        )

    @property
    def graph_key(self) -> str:
        """Names the exported graph, which is the same for every fit and precision."""
        return f"{self.architecture}-{self.image_size}-{self._digest()}"

    def _digest(self, *more: str) -> str:
        parts = [self.architecture, self.weights_digest, self.image_size, _RECIPE, *more]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "BackboneConfig":
        """Returns the config whose ``to_dict`` gave ``fields``."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise BackboneError(f"the stored description of a backbone is damaged: {error}") from (
                error
            )


def resolve_backbone(settings: Settings) -> BackboneConfig:
    """Returns the backbone that the settings name.

    Args:
        settings: Architecture, weights, image size, fit and precision.

    Raises:
        BackboneError: The architecture is unknown.
        WeightsError: The weight file can't be read.
    """
    spec = get_spec(settings.model_architecture)
    return BackboneConfig(
        architecture=spec.name,
        weights=settings.weights,
        weights_digest=_weights_digest(settings.weights, spec.kind),
        image_size=settings.image_size or spec.image_size,
        fit=settings.fit,
        precision=_precision(settings.precision),
        dimension=spec.dimension,
    )


def _weights_digest(weights: str, kind: str) -> str:
    if weights == "random":
        return f"random-{RANDOM_SEED}"
    if weights == "imagenet" and kind == "download":
        return "imagenet"
    path = packaged_weights() if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise WeightsError(
            f"there is no weight file {path}: give --weights the path of a file, 'imagenet' or "
            "'random'"
        )
    try:
        return checksum(path)
    except OSError as error:
        raise WeightsError(f"can't read the weight file {path}: {error}") from error


def _precision(wanted: str) -> Literal["f32", "bf16"]:
    flags = processor_flags()
    if wanted == "bf16" and not flags & {"amx_bf16", "avx512_bf16"}:
        raise BackboneError(
            "this processor has no bf16 instructions, and emulated bf16 is several times slower "
            "than f32: use --precision f32"
        )
    # With AVX-512 bf16 but no AMX, f32 measured faster than bf16 on EfficientNetV2-L.
    if wanted == "bf16" or (wanted == "auto" and "amx_bf16" in flags):
        return "bf16"
    return "f32"
