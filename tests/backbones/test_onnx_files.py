"""ONNX files as backbones: what they compute, and what is said of those that can't be used."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_python
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tagkin.backbones.onnx_description import Description, parse_description
from tagkin.backbones.onnx_files import OnnxBackbone, describe_onnx, export_onnx
from tagkin.backbones.runtime import Runtime
from tagkin.errors import BackboneError, WeightsError

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT

SIZE, FILTERS, TAGS = 16, 8, 5
PLAIN = {"mean": 0, "std": 1, "rescale": 1}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_rng = np.random.default_rng(7)
CONV = _rng.normal(size=(FILTERS, 3, 1, 1)).astype(np.float32)
GEMM = _rng.normal(size=(FILTERS, TAGS)).astype(np.float32)
IMAGES: NDArray[np.uint8] = _rng.integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)


def tagger_nodes(pixels: str = "pixels", layout: str = "NCHW") -> list[Any]:
    """A tagger in small: features of the image, then the probability of each tag."""
    turn = [helper.make_node("Transpose", [pixels], ["turned"], perm=[0, 3, 1, 2])]
    node = helper.make_node
    return [
        *(turn if layout == "NHWC" else []),
        node("Conv", ["turned" if turn and layout == "NHWC" else pixels, "conv_w"], ["map"]),
        node("Relu", ["map"], ["relu"], name="/stem/Relu"),
        node("GlobalAveragePool", ["relu"], ["pooled"]),
        node("Flatten", ["pooled"], ["features"], name="/head/Flatten"),
        node("Gemm", ["features", "gemm_w"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"]),
    ]


def write(
    path: Path,
    description: Any = PLAIN,
    *,
    nodes: Sequence[Any] | None = None,
    shape: Sequence[int | str] = (1, 3, SIZE, SIZE),
    outputs: Sequence[tuple[str, Sequence[int | str]]] = (("features", (1, FILTERS)),),
    kind: int = FLOAT,
    more_inputs: Sequence[Any] = (),
    weights: dict[str, NDArray[Any]] | None = None,
) -> Path:
    weights = {"conv_w": CONV, "gemm_w": GEMM, **(weights or {})}
    layout = "NHWC" if shape[-1] == 3 else "NCHW"
    nodes = tagger_nodes(layout=layout) if nodes is None else nodes
    output_kind = kind if kind != onnx.TensorProto.UINT8 else FLOAT
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("pixels", kind, shape), *more_inputs],
        [helper.make_tensor_value_info(name, output_kind, axes) for name, axes in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    if description is not None:
        path.with_suffix(".json").write_text(json.dumps(description), "utf-8")
    return path


def features(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """What the network computes of (images, size, size, 3), in double precision."""
    maps = np.einsum("nhwc,fc->nhwf", values, CONV[:, :, 0, 0].astype(np.float64))
    pooled: NDArray[np.floating[Any]] = np.maximum(maps, 0).mean(axis=(1, 2))
    return pooled


def run(path: Path, folder: Path, images: NDArray[np.uint8] = IMAGES) -> NDArray[np.float32]:
    folder.mkdir(exist_ok=True)
    export_onnx(path, folder)
    assert {file.name for file in folder.iterdir()} == {"model.xml", "model.bin"}
    return Runtime(folder / "model.xml", "f32").embed(images)


def assert_close(vectors: NDArray[np.float32], expected: NDArray[np.floating[Any]]) -> None:
    # Weights may be in half precision, which has 11 bits.
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=3e-3, atol=3e-3 * np.abs(expected).max())


@pytest.mark.parametrize(
    "how",
    [
        {},
        IMAGENET,
        {"mean": 0.5, "std": 0.5},
        {"mean": [103.9, 116.8, 123.7], "std": 1, "rescale": 1},
        {"mean": 1, "std": 2, "rescale": 2 / 255},
    ],
)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("shape", [(1, 3, SIZE, SIZE), (1, SIZE, SIZE, 3)])
def test_pixels_are_prepared_as_described(
    how: dict[str, Any], order: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    how = {**PLAIN, **({"rescale": 1 / 255} if how else {}), **how, "colour_order": order}
    path = write(tmp_path / "m.onnx", how, shape=shape)
    pixels = IMAGES[..., ::-1] if order == "BGR" else IMAGES
    values = (pixels * how["rescale"] - np.array(how["mean"])) / np.array(how["std"])
    assert_close(run(path, tmp_path / "out"), features(values))


@pytest.mark.parametrize(
    "shape",
    [
        ("n", 3, "h", "w"),
        ("n", "h", "w", 3),
        ("n", "c", "h", "w"),
        ("n", 3, SIZE, SIZE),
        ("n", 3, SIZE, "w"),
    ],
)
def test_open_axes_become_one_image_of_the_size(shape: tuple[Any, ...], tmp_path: Path) -> None:
    description = {**PLAIN, "image_size": SIZE}
    path = write(tmp_path / "m.onnx", description, shape=shape, outputs=[("features", ("n", "d"))])
    known = describe_onnx(path)
    assert (known.image_size, known.dimension) == (SIZE, FILTERS)
    assert_close(run(path, tmp_path / "out"), features(IMAGES))


def test_if_all_axes_are_open_the_layout_that_fits_is_found(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.onnx",
        {**PLAIN, "image_size": SIZE},
        nodes=tagger_nodes(layout="NHWC"),
        shape=("n", "a", "b", "c"),
        outputs=[("features", ("n", "d"))],
    )
    assert_close(run(path, tmp_path / "out"), features(IMAGES))


def test_the_graph_takes_batches(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", {**PLAIN, "output": "pooled"}, shape=("n", 3, SIZE, SIZE))
    single = run(path, tmp_path / "out")
    batched = Runtime(tmp_path / "out" / "model.xml", "f32", batch=2).embed(IMAGES)
    np.testing.assert_allclose(batched, single, rtol=1e-5)


@pytest.mark.parametrize("output", ["features", "/head/Flatten", "pooled"])
def test_the_layer_before_the_tags_can_be_named(output: str, tmp_path: Path) -> None:
    tagger = {**PLAIN, "colour_order": "BGR", "output": output}
    path = write(
        tmp_path / "wd.onnx",
        tagger,
        shape=("n", SIZE, SIZE, 3),
        outputs=[("probabilities", ("n", TAGS))],
    )
    assert describe_onnx(path).dimension == FILTERS
    assert_close(run(path, tmp_path / "out"), features(IMAGES[..., ::-1]))


@pytest.mark.parametrize(("output", "dimension"), [(0, FILTERS), (1, TAGS), ("logits", TAGS)])
def test_one_of_several_outputs(output: Any, dimension: int, tmp_path: Path) -> None:
    both = [("features", (1, FILTERS)), ("logits", (1, TAGS))]
    path = write(tmp_path / "m.onnx", {**PLAIN, "output": output}, outputs=both)
    assert describe_onnx(path).dimension == dimension
    expected = features(IMAGES) if dimension == FILTERS else features(IMAGES) @ GEMM
    assert_close(run(path, tmp_path / "out"), expected)


TOKENS = [
    helper.make_node("Conv", ["pixels", "conv_w"], ["map"]),
    helper.make_node("Reshape", ["map", "flat"], ["flattened"]),
    helper.make_node("Transpose", ["flattened"], ["tokens"], perm=[0, 2, 1]),
]
FLAT = {"flat": np.array([0, FILTERS, -1])}


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_tokens_are_pooled(pooling: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "vit.onnx",
        {**IMAGENET, "pooling": pooling, "image_size": SIZE},
        nodes=TOKENS,
        weights=FLAT,
        shape=("n", 3, "h", "w"),
        outputs=[("tokens", ("n", "t", FILTERS))],
    )
    values = (IMAGES / 255 - np.array(IMAGENET["mean"])) / np.array(IMAGENET["std"])
    tokens = np.einsum("nhwc,fc->nhwf", values, CONV[:, :, 0, 0]).reshape(3, -1, FILTERS)
    expected = tokens[:, 0] if pooling == "first" else tokens.mean(axis=1)
    assert_close(run(path, tmp_path / "out"), expected)


def test_the_text_half_of_a_model_does_not_matter(tmp_path: Path) -> None:
    path = write(
        tmp_path / "clip.onnx",
        {**PLAIN, "output": "features"},
        nodes=[*tagger_nodes(), helper.make_node("Mul", ["logits", "text"], ["similarity"])],
        more_inputs=[helper.make_tensor_value_info("text", FLOAT, ("n", TAGS))],
        outputs=[("features", (1, FILTERS)), ("similarity", ("n", TAGS))],
    )
    assert_close(run(path, tmp_path / "out"), features(IMAGES))
    path.with_suffix(".json").write_text(json.dumps({**PLAIN, "output": "similarity"}))
    with pytest.raises(BackboneError, match=r"2 inputs \('pixels' .*, 'text' .*image only"):
        describe_onnx(path)


def test_half_precision_files(tmp_path: Path) -> None:
    half = {"conv_w": CONV.astype(np.float16), "gemm_w": GEMM.astype(np.float16)}
    path = write(tmp_path / "m.onnx", IMAGENET, kind=onnx.TensorProto.FLOAT16, weights=half)
    values = (IMAGES / 255 - np.array(IMAGENET["mean"])) / np.array(IMAGENET["std"])
    assert_close(run(path, tmp_path / "out"), features(values))


def test_files_that_take_whole_numbers(tmp_path: Path) -> None:
    cast = helper.make_node("Cast", ["pixels"], ["numbers"], to=FLOAT)
    nodes = [cast, *tagger_nodes("numbers")]
    path = write(tmp_path / "m.onnx", PLAIN, nodes=nodes, kind=onnx.TensorProto.UINT8)
    assert_close(run(path, tmp_path / "out"), features(IMAGES))
    path.with_suffix(".json").write_text(json.dumps(IMAGENET))
    with pytest.raises(BackboneError, match='"rescale": 1'):
        describe_onnx(path)


def test_neither_keras_nor_onnx_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from tagkin.backbones.onnx_files import describe_onnx, export_onnx\n"
        f"describe_onnx(Path({str(path)!r}))\n"
        f"export_onnx(Path({str(path)!r}), Path({str(tmp_path)!r}))\n"
        "print([n for n in ('tensorflow', 'keras', 'onnx', 'torch') if n in sys.modules])\n"
    )
    done = run_python(code)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


# What names the vectors.


def test_the_digest_is_of_what_is_said_and_not_how(tmp_path: Path) -> None:
    first = write(tmp_path / "a.onnx", {"mean": 0.5, "std": 0.5})
    known = describe_onnx(first)
    assert known == OnnxBackbone(first, SIZE, FILTERS, known.digest, "a")
    longer = {"std": [0.5] * 3, "mean": [0.5] * 3, "image_size": SIZE, "colour_order": "RGB"}
    assert describe_onnx(write(tmp_path / "b.onnx", longer)).digest == known.digest
    other = write(tmp_path / "c.onnx", {**longer, "colour_order": "BGR"})
    assert describe_onnx(other).digest != known.digest
    weights = write(tmp_path / "d.onnx", longer, weights={"conv_w": CONV + 1})
    assert describe_onnx(weights).digest != known.digest


@pytest.mark.parametrize("length", [1, 200])
def test_weights_in_files_of_their_own(length: int, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    data = tmp_path / ("w" * length)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=data.name,
              size_threshold=0)  # fmt: skip
    known = describe_onnx(path)
    assert_close(run(path, tmp_path / "out"), features(IMAGES))

    content = data.read_bytes()
    data.unlink()  # not in place: the graph may still be mapped
    data.write_bytes((CONV + 1).tobytes() + content[CONV.nbytes :])
    assert describe_onnx(path).digest != known.digest
    with pytest.raises(WeightsError, match="not the one that the vectors were made with"):
        export_onnx(path, tmp_path, known.digest)

    data.unlink()
    data.write_bytes(content[:40])
    with pytest.raises(WeightsError, match="not downloaded whole"):
        describe_onnx(path)
    data.unlink()
    with pytest.raises(WeightsError, match=f"{data.name}, which is missing"):
        describe_onnx(path)


def test_links_as_hugging_face_makes_them(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w", size_threshold=0)
    known = describe_onnx(path)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for file, blob in ((path, "1f3a"), (tmp_path / "w", "77b0")):
        file.rename(blobs / blob)
        file.symlink_to(blobs / blob)
    assert describe_onnx(path) == known
    assert_close(run(path, tmp_path / "out"), features(IMAGES))


@pytest.mark.parametrize(
    ("stem", "name"),
    [("DINOv3_vit-s.16", "DINOv3_vit-s.16"), ("my model (1)", "my-model-1"), ("模型", "unnamed")],
)
def test_names_are_safe(stem: str, name: str, tmp_path: Path) -> None:
    assert describe_onnx(write(tmp_path / f"{stem}.onnx")).name == name


def test_the_json_may_be_named_after_the_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    short = path.with_suffix(".json")
    short.rename(tmp_path / "m.onnx.json")
    assert describe_onnx(path).dimension == FILTERS
    short.write_text("{}")
    with pytest.raises(BackboneError, match="delete one"):
        describe_onnx(path)


# What is said of files that can't be used.


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no ONNX file .*none\.onnx"):
        describe_onnx(tmp_path / "none.onnx")
    path = write(tmp_path / "m.onnx", None)
    with pytest.raises(WeightsError, match=r"no .*m\.json.*preprocessor_config") as error:
        describe_onnx(path)
    example = json.loads(str(error.value)[str(error.value).index("{") :])
    assert parse_description(example, "the message").image_size == 224


@pytest.mark.parametrize("content", [b"", b"hello, hello", "half", "most"])
def test_damaged_files(content: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "m.onnx")
    whole = path.read_bytes()
    shortened = {"half": whole[: len(whole) // 2], "most": whole[:-3]}
    path.write_bytes(shortened.get(content, content) if isinstance(content, str) else content)
    with pytest.raises(WeightsError, match="download"):
        describe_onnx(path)
    assert capfd.readouterr() == ("", "")


def test_operations_that_openvino_lacks(tmp_path: Path) -> None:
    unknown = helper.make_node("Foo", ["pixels"], ["features"], domain="")
    with pytest.raises(WeightsError, match=r"Foo.*try another export"):
        describe_onnx(write(tmp_path / "m.onnx", nodes=[unknown]))


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({"output": "map"}, r"\(1, 8, 16, 16\) for one image.*not one vector.*'logits' \(1, 5\)"),
        ({"output": "feature"}, r"no tensor 'feature'; did you mean 'features'\?.*Outputs: 'prob"),
        (
            {"output": 3},
            r"no output 3\. Outputs: 'probabilities' \(1, 5\); the last inner .*'features'",
        ),
        ({"output": "conv_w"}, "no tensor 'conv_w'"),
        ({"output": "pixels"}, "no tensor 'pixels'"),
        ({"pooling": "mean"}, r"\(1, 5\) for one image\. Pooling is for .*leave it out"),
        ({"image_size": 32}, "takes images of 16 pixels.*leave image_size out"),
    ],
)
def test_descriptions_that_do_not_fit(
    description: dict[str, Any], said: str, tmp_path: Path
) -> None:
    outputs = [("probabilities", (1, TAGS))]
    path = write(tmp_path / "m.onnx", {**PLAIN, **description}, outputs=outputs)
    with pytest.raises(BackboneError, match=said):
        describe_onnx(path)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 1, SIZE, SIZE), "not that of RGB images"),
        ((1, 3 * SIZE * SIZE), "not that of RGB images"),
        ((1, 3, SIZE, 2 * SIZE), "square"),
        (("n", 3, "h", "w"), "add image_size"),
    ],
)
def test_inputs_that_are_not_images(shape: tuple[Any, ...], said: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["features"]),
    ]
    path = write(tmp_path / "m.onnx", nodes=nodes, shape=shape, outputs=[("features", ("n", "d"))])
    with pytest.raises(BackboneError, match=said):
        describe_onnx(path)


def test_several_outputs_and_none_named(tmp_path: Path) -> None:
    both = [("features", (1, FILTERS)), ("logits", (1, TAGS))]
    with pytest.raises(BackboneError, match=r'add "output".*\'features\' \(1, 8\), \'logits\''):
        describe_onnx(write(tmp_path / "m.onnx", outputs=both))


def test_tokens_without_pooling(tmp_path: Path) -> None:
    tokens = [("tokens", (1, SIZE * SIZE, FILTERS))]
    path = write(tmp_path / "m.onnx", nodes=TOKENS, weights=FLAT, outputs=tokens)
    with pytest.raises(BackboneError, match=r'\(1, 256, 8\) for one image.*"pooling": "mean"'):
        describe_onnx(path)


def test_a_size_that_the_network_does_not_take(tmp_path: Path) -> None:
    nodes = [*TOKENS[:2], helper.make_node("Add", ["flattened", "positions"], ["features"])]
    path = write(
        tmp_path / "m.onnx",
        {**PLAIN, "image_size": 24},
        nodes=nodes,
        weights={**FLAT, "positions": np.zeros((1, FILTERS, SIZE * SIZE), np.float32)},
        shape=("n", 3, "h", "w"),
        outputs=[("features", ("n", FILTERS, "t"))],
    )
    with pytest.raises(BackboneError, match=r"doesn't take one image of 24 x 24.*image_size"):
        describe_onnx(path)


def test_vectors_that_are_not_finite(tmp_path: Path) -> None:
    broken = {"conv_w": np.full_like(CONV, np.inf)}
    with pytest.raises(BackboneError, match=r"not finite.*check mean"):
        export_onnx(write(tmp_path / "m.onnx", weights=broken), tmp_path)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".onnx"]


# The JSON.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"not valid JSON[^{]*{\n *.image_size"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "lacks mean and std"),
        ('{"mean": 0, "std": 1, "colour": 1}', "'colour'; did you mean 'colour_order'.*Valid"),
        ('{"image_std": 0, "std": 1}', "'image_std'; did you mean 'std'"),
        ('{"mean": NaN, "std": 1}', "mean is NaN, not between"),
        ('{"mean": 0, "std": 0}', "std is 0, not between"),
        ('{"mean": [0, 0], "std": 1}', "mean has 2 numbers"),
        ('{"mean": "0", "std": 1}', 'mean is "0", not a number'),
        ('{"mean": 0, "std": true}', "std is true, not a number"),
        ('{"mean": 123.7, "std": 58}', 'pixels reach 1 .*add "rescale": 1'),
        ('{"mean": 0, "std": 1, "image_size": 224.0}', "image_size is 224.0, not a whole"),
        ('{"mean": 0, "std": 1, "colour_order": "rgb"}', "not 'RGB' or 'BGR'"),
        ('{"mean": 0, "std": 1, "pooling": "max"}', "not 'first' or 'mean'"),
        ('{"mean": 0, "std": 1, "output": -1}', "neither a name nor a number"),
    ],
)
def test_what_is_wrong_with_the_json(content: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", None)
    path.with_suffix(".json").write_text(content, "utf-8")
    with pytest.raises(BackboneError, match=said):
        describe_onnx(path)


numbers = st.floats(1e-6, 1e6)
triples = st.tuples(numbers, numbers, numbers)
descriptions = st.builds(
    Description,
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=triples,
    rescale=st.floats(1 / 255, 1e6),
    image_size=st.none() | st.integers(8, 2048),
    colour_order=st.sampled_from(["RGB", "BGR"]),
    output=st.none() | st.text() | st.integers(0, 10**9),
    pooling=st.sampled_from([None, "first", "mean"]),
)


@given(descriptions)
def test_a_description_survives_being_written(description: Description) -> None:
    again = parse_description(json.loads(description.to_json()), "test")
    assert again == description
    assert again.to_json() == description.to_json()


@given(descriptions, st.floats(0, 1), numbers)
def test_one_number_stands_for_three(description: Description, mean: float, std: float) -> None:
    said = {**asdict(description), "mean": mean, "std": std}
    expected = replace(description, mean=(mean,) * 3, std=(std,) * 3)
    assert parse_description(json.loads(json.dumps(said)), "test") == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
fields = st.sampled_from([*Description.__dataclass_fields__])


@given(json_values | st.dictionaries(fields, json_values).map(lambda d: {**PLAIN, **d}))
def test_any_json_is_a_description_or_refused(content: Any) -> None:
    try:
        description = parse_description(content, "test")
    except BackboneError as error:
        assert str(error).startswith("test")
    else:
        assert parse_description(json.loads(description.to_json()), "test") == description
