"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="DIR",
        help="Folder of the library. (default: ./tagkin-library, or TAGKIN_LIBRARY)",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout; all else goes to stderr.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="The backbone. (default: the one last embedded, else efficientnetv2-l)",
        show_default=False,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Weights of the backbone: 'imagenet' (downloads them unless they are installed), a "
        "weight file, or 'random' (for tests).",
        show_default=False,
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        metavar="PIXELS",
        help="Side of the square that the backbone sees. (default: the backbone's own)",
        show_default=False,
    ),
]
FitOption = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="pad|squeeze|crop",
        help="How an image is made square. (default: pad)",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="auto|f32|bf16",
        help="Arithmetic of the backbone. (default: auto)",
        show_default=False,
    ),
]
