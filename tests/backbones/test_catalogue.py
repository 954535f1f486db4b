"""The table of backbones."""

import pytest

from tagkin.backbones import BACKBONES, OFFLINE_BACKBONE, get_spec
from tagkin.errors import BackboneError


@pytest.mark.parametrize(
    ("name", "dimension", "image_size", "top1"),
    [
        ("resnet50", 2048, 224, 74.9),
        ("efficientnetv2-s", 1280, 384, 83.9),
        ("efficientnetv2-l", 1280, 384, 85.7),
        ("convnext-large", 1536, 384, 86.3),
        ("vit-large", 1024, 384, 85.2),
        ("efficientnet-lite0", 1280, 224, 75.1),
    ],
)
def test_rows_are_as_published(name: str, dimension: int, image_size: int, top1: float) -> None:
    spec = get_spec(name)
    assert (spec.dimension, spec.image_size, spec.top1) == (dimension, image_size, top1)
    assert spec.top1_source


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(BackboneError) as caught:
        get_spec("clip-huge")
    assert all(name in str(caught.value) for name in BACKBONES)


@pytest.mark.parametrize("name", ["EfficientNet-Lite0", "efficientnet_lite0", "efficientnetlite0"])
def test_a_near_miss_is_pointed_out(name: str) -> None:
    with pytest.raises(BackboneError, match="did you mean 'efficientnet-lite0'"):
        get_spec(name)


def test_the_offline_backbone_needs_no_download() -> None:
    assert [name for name, spec in BACKBONES.items() if spec.kind == "package"] == [
        OFFLINE_BACKBONE
    ]
