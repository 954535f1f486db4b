"""Images per second of a timm model on arrays in memory, in eager PyTorch on the processor.

A peer for `embed.py`. It runs in an environment of its own, since PyTorch is no dependency of
Tagkin, and so imports nothing of Tagkin. Weights are random: speed doesn't depend on them.

    python timm_peer.py efficientnetv2-s 384 pixels.npy --precision bf16

Prints one line of JSON, ``{"images_per_second": median, "runs": [...]}``.
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

#: Tagkin's name of each backbone, and timm's name of the same architecture.
TIMM_NAMES = {
    "resnet50": "resnet50",
    "efficientnetv2-s": "tf_efficientnetv2_s",
    "efficientnetv2-l": "tf_efficientnetv2_l",
    "convnext-large": "convnext_large",
    "vit-large": "vit_large_patch16_384",
    "efficientnet-lite0": "tf_efficientnet_lite0",
}
#: Of the weights too. Autocast, which keeps them in f32, was some 5 % slower on two models (Zen 4).
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


class Peer:
    """A timm model without its classifier, ready to embed.

    Attributes:
        dtype: The type of the weights and of what flows between the layers.
        model: Takes (n, 3, size, size), gives (n, dimension).
        mean: Of the colours that the model was made for, (3, 1, 1), in units of 0 to 255.
        std: Their standard deviation, likewise.
    """

    def __init__(self, name: str, size: int, dtype: torch.dtype) -> None:
        import timm  # here, as what it needs of torchvision must be declared first

        # A transformer has a position embedding for each patch; the others take any size.
        options = {"img_size": size} if name.startswith("vit") else {}
        model: nn.Module = timm.create_model(
            TIMM_NAMES[name], pretrained=False, num_classes=0, **options
        )
        colours = timm.data.resolve_model_data_config(model)
        self.dtype = dtype
        self.model = model.eval().to(dtype=dtype, memory_format=torch.channels_last)
        self.mean = 255 * torch.tensor(colours["mean"]).view(3, 1, 1)
        self.std = 255 * torch.tensor(colours["std"]).view(3, 1, 1)

    def embed(self, pixels: NDArray[np.uint8], batch_size: int) -> NDArray[np.float32]:
        """Returns the embeddings, (n, dimension), of images, (n, size, size, 3)."""
        with torch.inference_mode():
            batches = torch.from_numpy(pixels).split(batch_size)
            vectors = [self.model(self._normalise(batch)).float() for batch in batches]
            return torch.cat(vectors).numpy()

    def _normalise(self, batch: Tensor) -> Tensor:
        # Seen with the channels second, the bytes of an image file are channels_last already.
        # In f32, since bf16 would round what is subtracted.
        channels_second = batch.permute(0, 3, 1, 2).float()
        return channels_second.sub_(self.mean).div_(self.std).to(self.dtype)


def main() -> None:
    """Measures and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=TIMM_NAMES)
    parser.add_argument("size", type=int, help="pixels a side")
    parser.add_argument("pixels", type=Path, help="a .npy file of uint8, (n, size, size, 3)")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--precision", choices=DTYPES, default="f32")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    pixels = np.load(arguments.pixels)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (arguments.size, arguments.size, 3):
        parser.error(f"{arguments.pixels} holds {pixels.dtype} of shape {pixels.shape}")

    torch.set_num_threads(_usable_cores())
    _declare_missing_operators()
    peer = Peer(arguments.model, arguments.size, DTYPES[arguments.precision])
    runs = measure(peer, pixels, arguments.batch_size, arguments.repeats)
    print(json.dumps({"images_per_second": statistics.median(runs), "runs": runs}))


def measure(peer: Peer, pixels: NDArray[np.uint8], batch_size: int, repeats: int) -> list[float]:
    """Returns the images per second of each run over all the images."""
    # The first batch chooses kernels for its shape and takes memory, which is not the model's pace.
    peer.embed(pixels[:batch_size], batch_size)
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        peer.embed(pixels, batch_size)
        rates.append(len(pixels) / (time.perf_counter() - started))
    return rates


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _declare_missing_operators() -> None:
    """Lets torchvision be imported where its compiled part can't be loaded.

    timm imports torchvision for its transforms, which are Python. Beside a PyTorch for the
    processor alone, the compiled part of PyPI's torchvision lacks CUDA libraries and is skipped
    silently; the import then fails at two operators that it describes but that nobody declared.
    Declared, not implemented: no model here calls them.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        for compiled in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(compiled)
    except OSError:
        for name in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(
                name, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )


if __name__ == "__main__":
    main()
