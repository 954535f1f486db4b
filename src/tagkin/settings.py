"""Every default of Tagkin, once, and where a setting may come from.

In rising order: the default below, the environment (``TAGKIN_MIN_TAG_OCCURRENCES=5``), a
``tagkin.toml`` in the current folder, what the library remembers from earlier options, and the
options of the command itself.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_cache_path
from pydantic import Field, PlainValidator, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as _SourceSettingsError

from tagkin.errors import SettingsError
from tagkin.remote_paths import as_path

CONFIG_FILE = "tagkin.toml"
ENV_PREFIX = "TAGKIN_"

Fit = Literal["pad", "squeeze", "crop"]
View = Literal["pad", "squeeze", "crop", "flip", "pad-flip", "squeeze-flip", "crop-flip"]
Precision = Literal["auto", "f32", "bf16", "f16", "int8"]
Loss = Literal["bce", "asl"]
Rank = Literal["margin", "probability"]
Engine = Literal["local", "ray"]


def user_cache() -> Path:
    """Returns Tagkin's folder among the user's caches."""
    return user_cache_path("tagkin")


def _as_place(value: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("it must be the path or the address of a folder")
    return as_path(value)


class Settings(BaseSettings):
    """The settings of one command; each field's description is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        env_ignore_empty=True,
    )

    library: Annotated[Path, PlainValidator(_as_place)] = Field(
        Path("tagkin-library"),
        description="folder of the library, here or on object storage (s3://bucket/library)",
    )
    cache_dir: Path = Field(
        default_factory=user_cache,
        description="folder for exported backbones; can be deleted at any time",
    )

    model_architecture: str = Field("efficientnetv2-l", description="name of the backbone")
    weights: str = Field(
        "imagenet", description="'imagenet', the path of a weight file, or 'random' (tests)"
    )
    image_size: int | None = Field(
        None, ge=32, le=2048, description="pixels a side; the backbone's own if not set"
    )
    fit: Fit = Field("pad", description="how an image is made square: pad, squeeze or crop")
    views: Annotated[tuple[View, ...], NoDecode] = Field(
        (),
        description="several views of an image whose vectors are averaged, in place of fit: pad, "
        "squeeze, crop; flip mirrors the view before it",
    )
    precision: Precision = Field(
        "auto", description="arithmetic of the backbone: auto, f32, bf16, int8, or f16 on a GPU"
    )
    int8_min_overlap: float = Field(
        0.85,
        ge=0,
        le=1,
        description="int8 is refused if fewer of the 10 nearest neighbours stay the same",
    )
    device: Literal["cpu", "gpu"] = Field("cpu", description="where embed runs the backbone")
    engine: Engine = Field(
        "local",
        description="what embed and thumbnails run with: local (this process) or ray (several)",
    )
    ray_address: str | None = Field(
        None,
        min_length=1,
        description="address of a running Ray cluster for the engine ray, such as auto or "
        "host:6379; Ray is started on this machine if not set",
    )
    ray_workers: int | None = Field(
        None,
        ge=1,
        description="processes that work under Ray; one for every four cores if not set",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="images in a step of the optimizer; from the number of images if not set",
    )
    decode_threads: int | None = Field(
        None, ge=1, le=256, description="threads that decode images; from the processor if not set"
    )

    read_timeout: float = Field(
        120,
        gt=0,
        description="seconds after which prepare and embed give up an image that they read or "
        "decode",
    )
    download_threads: int = Field(
        32,
        ge=1,
        le=256,
        description="threads that read images from object stores and web servers, and decode them",
    )
    private_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="web servers on this machine or a private network that images may be read "
        "from, by the names or numbers that are in their addresses",
    )

    fold_case: bool = Field(True, description="tags that differ by case only are one tag")
    unicode_form: Literal["NFC", "NFKC", "none"] = Field(
        "NFKC", description="Unicode normalisation form of tags"
    )
    aliases: dict[str, str] = Field(
        default_factory=dict, description="manual alias table: alias = canonical tag"
    )
    synonyms: Path | None = Field(
        None, description="CSV file of tags that mean the same, a group on each line, for variants"
    )
    dictionaries: bool = Field(
        True, description="variants looks words up in the dictionaries installed on this machine"
    )
    min_tag_occurrences: int = Field(
        10, ge=1, description="tags on fewer images are left out of the vocabulary"
    )
    exclude_tags: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="tags left out of the vocabulary whatever their count"
    )

    seed: int = Field(0, ge=0, lt=2**32, description="seed of the split and of training")
    validation_fraction: float = Field(0.15, gt=0, lt=0.5, description="share for validation")
    test_fraction: float = Field(0.15, ge=0, lt=0.5, description="share for the final test")
    duplicate_distance: int = Field(
        4,
        ge=0,
        le=15,
        description="bits of the 64-bit perceptual hash in which near-duplicates may differ",
    )

    max_epochs: int = Field(100, ge=1, description="most epochs of phase 1")
    patience: int = Field(10, ge=1, description="epochs without a better validation mAP")
    learning_rate: float = Field(
        1e-3, gt=0, allow_inf_nan=False, description="learning rate of phase 1 (Adam)"
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout before the head")
    loss: Loss = Field(
        "bce", description="bce (binary cross-entropy) or asl (asymmetric loss, Ridnik 2021)"
    )
    weight_decay: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="weight decay of the head (AdamW)"
    )
    neighbours: int = Field(
        50_000,
        ge=0,
        description="most training images that a tagger remembers, whose tags count beside the "
        "head if that is better on validation; 0 for none",
    )
    max_vector_memory: float = Field(
        2.0,
        ge=0,
        allow_inf_nan=False,
        description="GiB of vectors that train and variants hold in memory; if there are more, "
        "they are read from the disk as often as they are needed",
    )
    rank: Rank = Field(
        "margin",
        description="order of predicted tags: margin (score beside the tag's own threshold) or "
        "probability",
    )

    trainable_layers: int | None = Field(
        None,
        ge=1,
        description="last layers of the backbone that phase 2 trains: 50 if not set, of vit-large "
        "those of the last 4 encoder blocks",
    )
    fine_tune_recipe: Literal["published", "one-cycle"] = Field(
        "published",
        description="published (5 epochs, 1 view, learning rate 1e-5) or one-cycle (8 epochs, 8 "
        "views, a new head, rates that rise to 3e-4 and fall again), which gains more and takes "
        "longer",
    )
    fine_tune_epochs: int | None = Field(
        None, ge=1, description="epochs of phase 2; those of the recipe if not set"
    )
    fine_tune_learning_rate: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="learning rate of phase 2 (Adam); that of the recipe if not set",
    )
    fine_tune_batch_size: int = Field(16, ge=1, le=4096, description="images in a step of phase 2")
    fine_tune_views: int | None = Field(
        None,
        ge=1,
        le=64,
        description="views of each training image that phase 2 caches and learns from: the plain "
        "one, then random crops and flips; those of the recipe if not set",
    )
    tensorboard: Path | None = Field(
        None, description="folder for TensorBoard logs of training; none are written if not set"
    )

    max_image_pixels: int = Field(
        178_956_970, ge=1, description="images with more pixels are refused (decompression bombs)"
    )
    max_image_bytes: int = Field(
        256 * 2**20, ge=1, description="image files with more bytes are refused"
    )
    allow_truncated: bool = Field(
        False,
        description="of an image that is truncated or damaged, the part that can be decoded is "
        "used",
    )
    animation_frame: Literal["first", "middle", "last"] = Field(
        "first", description="the frame by which an animation is seen"
    )

    serve_host: str = Field("127.0.0.1", description="address that serve listens on")
    serve_port: int = Field(8756, ge=0, le=65535, description="port that serve listens on")
    serve_token: str | None = Field(
        None, min_length=12, description="secret that serve asks for; without it, only this machine"
    )
    serve_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="further names by which browsers may call serve, such as a name in your LAN"
    )
    serve_upload_bytes: int = Field(
        32 * 2**20, ge=1, description="uploads to serve with more bytes are refused"
    )
    serve_upload_pixels: int = Field(
        50_000_000, ge=1, description="uploads to serve with more pixels are refused"
    )
    serve_uploads_per_minute: int = Field(
        120, ge=1, description="images that each client may let serve look at in a minute"
    )
    serve_uploads_at_once: int = Field(
        2, ge=1, le=64, description="uploaded images that serve looks at at the same time"
    )

    @field_validator("exclude_tags", "views", "serve_allowed_hosts", "private_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Puts ``tagkin.toml`` above the environment; reads no ``.env`` and no secrets."""
        return init_settings, TomlConfigSettingsSource(settings_cls, CONFIG_FILE), env_settings


def load_settings(
    options: Mapping[str, Any] | None = None, remembered: Mapping[str, Any] | None = None
) -> Settings:
    """Merges the settings from everywhere they may be given.

    Args:
        options: Options of the command; None values count as not given.
        remembered: What the library remembers of earlier options; below ``options`` only.

    Raises:
        SettingsError: A name is unknown or a value impossible; the message lists the valid ones.
    """
    unknown = [
        name
        for name in os.environ
        if name.startswith(ENV_PREFIX) and name[len(ENV_PREFIX) :].lower() not in valid_names()
    ]
    if unknown:
        raise SettingsError(_unknown_name(unknown[0], f"the environment variable {unknown[0]}"))
    said = {name: value for name, value in (options or {}).items() if value is not None}
    known = {name: value for name, value in (remembered or {}).items() if value is not None}
    try:
        return Settings(**{**known, **said})
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE} is not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{CONFIG_FILE} can't be read: {error}") from None
    except _SourceSettingsError as error:
        raise SettingsError(f"a {ENV_PREFIX}* variable can't be read: {error}") from None


def default_settings(keep: Settings) -> Settings:
    """Returns the defaults, with the folders and the number of threads of ``keep``."""
    kept = ("library", "cache_dir", "decode_threads")
    return keep.model_copy(
        update={
            name: field.get_default(call_default_factory=True)
            for name, field in Settings.model_fields.items()
            if name not in kept
        }
    )


def valid_names() -> list[str]:
    """Returns the names of all settings."""
    return list(Settings.model_fields)


def _explain(error: ValidationError) -> str:
    lines = []
    for detail in error.errors():
        name = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            lines.append(_unknown_name(name, f"the setting {name!r}"))
        else:
            lines.append(f"{name} = {detail['input']!r}: {detail['msg'].lower()}")
    return "\n".join(lines)


def _unknown_name(name: str, what: str) -> str:
    plain = name.lower().removeprefix(ENV_PREFIX.lower())
    close = difflib.get_close_matches(plain, valid_names(), 1)
    hint = f"; did you mean {close[0]!r}" if close else ""
    return f"{what} is unknown{hint}. Valid names: {', '.join(sorted(valid_names()))}"
