"""Fingerprints: equal exactly when vectors can be compared."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagkin.backbones import BackboneConfig
from tagkin.backbones.config import describe_backbone
from tagkin.errors import BackboneError, WeightsError
from tagkin.settings import load_settings

EXAMPLE = BackboneConfig(
    architecture="efficientnetv2-l",
    weights="imagenet",
    weights_digest="imagenet",
    image_size=384,
    views=("pad",),
    precision="f32",
    dimension=1280,
)


def test_the_fingerprint_of_an_example_stays_what_it_was() -> None:
    # Libraries hold it: a change makes every stored vector unusable.
    assert EXAMPLE.fingerprint == "efficientnetv2-l-384-pad-f32-1acc40c1753d"
    assert EXAMPLE.graph_key == "efficientnetv2-l-384-5bc28ad4cef9"


@pytest.mark.parametrize(
    ("change", "other_graph"),
    [
        ({"architecture": "efficientnetv2-s"}, True),
        ({"weights_digest": "0123"}, True),
        ({"image_size": 480}, True),
        ({"views": ("squeeze",)}, False),
        ({"views": ("pad", "pad-flip")}, False),
        ({"precision": "bf16"}, False),
        ({"precision": "int8", "calibration": "0123"}, True),
    ],
)
def test_what_changes_vectors_changes_the_fingerprint(
    change: dict[str, Any], other_graph: bool
) -> None:
    changed = replace(EXAMPLE, **change)
    assert changed.fingerprint != EXAMPLE.fingerprint
    assert (changed.graph_key != EXAMPLE.graph_key) == other_graph


def test_where_a_weight_file_lies_does_not_matter(tmp_path: Path) -> None:
    paths = [tmp_path / "one.weights.h5", tmp_path / "moved.weights.h5"]
    for path in paths:
        path.write_bytes(b"the same weights")
    configs = [describe_backbone(load_settings({"weights": str(path)})) for path in paths]
    assert configs[0].fingerprint == configs[1].fingerprint
    paths[0].write_bytes(b"other weights")
    changed = describe_backbone(load_settings({"weights": str(paths[0])}))
    assert changed.fingerprint != configs[0].fingerprint


def test_random_weights_say_so() -> None:
    random = describe_backbone(load_settings({"weights": "random"}))
    assert "random" in random.fingerprint
    assert random.graph_key != EXAMPLE.graph_key


def test_a_missing_weight_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.h5.*--weights"):
        describe_backbone(load_settings({"weights": str(tmp_path / "absent.h5")}))


def test_image_size_is_the_backbones_own_unless_given() -> None:
    assert describe_backbone(load_settings({"model_architecture": "resnet50"})).image_size == 224
    given = load_settings({"model_architecture": "resnet50", "image_size": 160})
    assert describe_backbone(given).image_size == 160


def test_other_calibration_images_make_another_int8_graph() -> None:
    one, other = (replace(EXAMPLE, precision="int8", calibration=d) for d in ("01", "02"))
    assert one.fingerprint != other.fingerprint
    assert one.graph_key != other.graph_key


def test_several_views_are_named_in_the_fingerprint() -> None:
    settings = load_settings({"weights": "random", "views": "squeeze,crop,flip"})
    config = describe_backbone(settings)
    assert config.views == ("squeeze", "crop", "crop-flip")
    assert "squeeze+crop+crop-flip" in config.fingerprint


def test_a_description_from_before_there_were_views_is_read() -> None:
    fields = EXAMPLE.to_dict()
    del fields["views"], fields["calibration"]
    assert BackboneConfig.from_dict({**fields, "fit": "pad"}) == EXAMPLE


def test_goes_through_json_unchanged() -> None:
    assert BackboneConfig.from_dict(json.loads(json.dumps(EXAMPLE.to_dict()))) == EXAMPLE


@pytest.mark.parametrize("fields", [{}, {**EXAMPLE.to_dict(), "stranger": 1}])
def test_a_damaged_description_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(BackboneError, match="damaged"):
        BackboneConfig.from_dict(fields)
