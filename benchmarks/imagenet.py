"""Checks the whole way from an image file to a vector against ImageNet labels.

file -> images.decode -> fitting.fit_square -> exported graph, with the 1,000-class layer of
EfficientNet-Lite0 in place of a tagger. A mistake in colour order, scale, interpolation or
cropping shows as a top-1 accuracy below the published one.

The folder needs a ``labels.csv`` with the columns ``file`` (relative to the folder) and
``class_index`` (0 to 999, ImageNet's usual order). Prints a Markdown table::

    python benchmarks/imagenet.py FOLDER
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tagkin import fitting, images
from tagkin.backbones import Runtime
from tagkin.backbones.export import export_model
from tagkin.backbones.keras_models import import_keras
from tagkin.backbones.lite0 import build_lite0, load_packaged_weights
from tagkin.hardware import processor_flags, processor_name
from tagkin.settings import Fit, Settings

SIZE = 224
NEIGHBOURS = 10

Precision = Literal["f32", "bf16"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds labels.csv and the images")
    folder = parser.parse_args().folder
    paths, classes = read_labels(folder / "labels.csv")
    precisions: list[Precision] = ["f32"]
    if processor_flags() & {"amx_bf16", "avx512_bf16"}:
        precisions.append("bf16")
    with tempfile.TemporaryDirectory() as temporary:
        classifier = export(Path(temporary) / "classifier", include_top=True)
        backbone = export(Path(temporary) / "backbone", include_top=False)
        print(f"EfficientNet-Lite0, {len(paths)} photos, {SIZE} px, {processor_name()}\n")
        print("| fit | precision | top-1 | cosine to f32 | 10 nearest as in f32 | images/s |")
        print("|---|---|---|---|---|---|")
        for fit in get_args(Fit):
            pixels = read_images(paths, fit)
            single = Runtime(backbone, "f32").embed(pixels)
            for precision in precisions:
                top1 = (Runtime(classifier, precision).embed(pixels).argmax(1) == classes).mean()
                runtime = Runtime(backbone, precision)
                runtime.embed(pixels[:8])  # the first inference also sets up memory
                started = time.perf_counter()
                vectors = runtime.embed(pixels)
                rate = len(pixels) / (time.perf_counter() - started)
                cosine = (unit(vectors) * unit(single)).sum(1).mean()
                kept = neighbour_overlap(vectors, single)
                print(
                    f"| {fit} | {precision} | {top1:.3f} | {cosine:.4f} | {kept:.3f} | {rate:.0f} |"
                )


def read_labels(table: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Returns the paths of the images and their classes."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [table.parent / r["file"] for r in rows], np.array([int(r["class_index"]) for r in rows])


def export(folder: Path, *, include_top: bool) -> Path:
    """Exports EfficientNet-Lite0 as ``tagkin embed`` does, and returns the path of the graph."""
    import_keras()
    folder.mkdir()
    model = build_lite0(SIZE, include_top=include_top)
    load_packaged_weights(model)
    export_model(model, folder)
    return folder / "model.xml"


def read_images(paths: list[Path], fit: Fit) -> NDArray[np.uint8]:
    """Decodes and fits images as ``tagkin embed`` does: (images, size, size, 3)."""
    limits = images.ImageLimits.from_settings(Settings())
    decoded = (
        images.decode(
            images.read_bytes(path, limits),
            limits,
            least_size=lambda width, height: fitting.least_size(width, height, SIZE, fit),
        )
        for path in paths
    )
    return np.stack([fitting.fit_square(d.image, SIZE, fit, d.box) for d in decoded])


def neighbour_overlap(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Returns the share of the nearest neighbours by cosine that two embeddings have in common."""
    ours, theirs = nearest(vectors), nearest(reference)
    shared = [len(set(a) & set(b)) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean(shared)) / NEIGHBOURS


def nearest(vectors: NDArray[np.float32]) -> list[list[int]]:
    cosines = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(cosines, -2)
    return [[int(i) for i in row] for row in np.argsort(-cosines, axis=1)[:, :NEIGHBOURS]]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
