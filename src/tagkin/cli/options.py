"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tagkin.cli.places import place

LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="DIR",
        parser=place,
        help="Folder of the library, here or on object storage, such as s3://bucket/library. "
        "(default: ./tagkin-library, or TAGKIN_LIBRARY)",
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
        help="The backbone, or onnx:FILE. (default: the one last embedded, else efficientnetv2-l)",
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
ViewsOption = Annotated[
    str | None,
    typer.Option(
        "--views",
        metavar="VIEW,...",
        help="Average the vectors of several views of each image, such as squeeze,crop,flip (flip "
        "mirrors the view before it); takes as many times as long. (default: the one of --fit)",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="auto|f32|bf16|int8",
        help="Arithmetic of the backbone. auto measures whether bf16 is faster and as good; int8 "
        "is calibrated with the library's own images. (default: auto)",
        show_default=False,
    ),
]
AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Try it even if it can't fit into the memory or onto the disk."),
]
