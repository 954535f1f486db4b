"""int8 graphs: calibrated with the library's own images, judged by them, kept in the cache."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tagkin.backbones.cache import cached_entry, cached_graph
from tagkin.backbones.config import BackboneConfig
from tagkin.backbones.sample import ImageSample, Note
from tagkin.errors import BackboneError
from tagkin.hardware import has_vnni
from tagkin.settings import Settings

# Quantization needs some hundred images to learn the range of each layer's values (300 is what
# NNCF uses by default); others judge what came out.
_CALIBRATION, _CHECK = 300, 256
_LEAST_IMAGES = 40
# Correcting biases takes an hour and more with 300 images where a graph is large.
_LARGE_BYTES, _CALIBRATION_LARGE = 30e6, 100
# Sensitive layers are left out below this overlap even if any is accepted.
_MIN_OVERLAP: float = Settings.model_fields["int8_min_overlap"].default
_REPORT = "int8.json"


def calibrated(
    config: BackboneConfig, settings: Settings, sample: ImageSample | None, note: Note
) -> BackboneConfig:
    """Returns a backbone's int8 form, made now if the cache hasn't got it.

    Args:
        config: The backbone in f32.
        settings: The cache folder, and the least overlap of neighbours that is accepted.
        sample: Images of the library.
        note: Told what int8 changes.

    Raises:
        BackboneError: There are no images, NNCF is not installed, or int8 changes too much.
        WeightsError: The weights are not to be had.
    """
    if sample is None:
        raise BackboneError("int8 is calibrated with the images of a library: run 'tagkin prepare'")
    ids = list(sample.ids(_CALIBRATION + _CHECK))
    if len(ids) < _LEAST_IMAGES:
        raise BackboneError(
            f"int8 is calibrated with the library's images, and {len(ids)} are too few "
            f"(at least {_LEAST_IMAGES}): use --precision f32"
        )
    graph = cached_graph(config, settings.cache_dir)
    large = graph.with_suffix(".bin").stat().st_size > _LARGE_BYTES
    cut = len(ids) * _CALIBRATION // (_CALIBRATION + _CHECK)
    calibration, check = ids[: min(cut, _CALIBRATION_LARGE) if large else cut], ids[cut:]
    # Weights use the whole range only where VNNI keeps the sums from overflowing.
    what = [config.views, calibration, "vnni" if has_vnni() else "any processor"]
    digest = hashlib.blake2b(json.dumps(what).encode(), digest_size=6)
    int8 = replace(config, precision="int8", calibration=digest.hexdigest())

    def make(folder: Path) -> None:
        from tagkin.backbones.quantize import quantize_graph  # takes NNCF with it

        note(
            f"making an int8 graph of {config.architecture} with {len(calibration)} of the "
            f"library's images; this is done once and takes {'many ' if large else ''}minutes"
        )
        learn, judge = (sample.pixels(part, config) for part in (calibration, check))
        if (readable := len(learn) + len(judge)) < _LEAST_IMAGES or not len(judge):
            raise BackboneError(
                f"int8 is calibrated with {len(calibration) + len(check)} of the library's images, "
                f"and {readable} of them can be read (at least {_LEAST_IMAGES} are needed): use "
                "--precision f32"
            )
        report = quantize_graph(
            graph,
            folder,
            learn,
            judge,
            min_overlap=settings.int8_min_overlap or _MIN_OVERLAP,
            note=note,
        )
        (folder / _REPORT).write_text(json.dumps(asdict(report)), "utf-8")

    int8_graph = cached_entry(int8.graph_key, settings.cache_dir, make)
    report = _read_report(int8_graph.parent / _REPORT)
    found = (
        f"int8 against f32 on {len(check)} images: mean cosine {report['mean_cosine']:.4f}, "
        f"{report['neighbour_overlap']:.1%} of the 10 nearest neighbours are the same"
    )
    if report["neighbour_overlap"] < settings.int8_min_overlap:
        raise BackboneError(
            f"{found}, and {settings.int8_min_overlap:.0%} are asked for: use another precision, "
            "or take it as it is with --force"
        )
    left_out = len(report["left_out"])
    note(found + (f"; {left_out} sensitive layers stay in f32" if left_out else ""))
    return int8


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
        return {
            "mean_cosine": float(report["mean_cosine"]),
            "neighbour_overlap": float(report["neighbour_overlap"]),
            "left_out": list(report["left_out"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{path} is damaged ({error}): run 'tagkin cache --clear {path.parent.name}'"
        ) from error
