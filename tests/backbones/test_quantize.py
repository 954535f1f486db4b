"""int8 graphs stay near the ones they were made from; NNCF keeps quiet in every way."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import subprocess_environment
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig, Runtime, cached_graph, quantize
from tagkin.backbones.quantize import Quantized, quantize_graph
from tagkin.backbones.runtime import import_openvino
from tagkin.errors import BackboneError
from tagkin.fitting import fit_square
from tagkin.images import ImageLimits, decode, read_bytes
from tagkin.settings import Settings

needs_nncf = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("nncf") is None, reason="nncf is not installed"
)


def small_graph(folder: Path, attention: bool = False) -> Path:
    """A network of three layers with random weights: uint8 of 16 x 16 in, 24 numbers out."""
    ov = import_openvino()
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)

    def weights(*shape: int) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    pixels = ops.parameter([1, 16, 16, 3], ov.Type.u8)
    x = ops.transpose(ops.convert(pixels, ov.Type.f32), [0, 3, 1, 2])
    x = ops.multiply(x, np.float32(1 / 255))
    for name, channels in (("stem", 3), ("body", 24), ("top", 24)):
        x = ops.convolution(x, weights(24, channels, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
        x.set_friendly_name(name)
        x = ops.relu(ops.add(x, weights(1, 24, 1, 1)))
        if attention and name == "stem":
            tokens = ops.transpose(ops.reshape(x, [1, 24, 64], False), [0, 2, 1])
            keys = ops.matmul(tokens, weights(24, 24), False, False)
            scores = ops.softmax(ops.matmul(tokens, keys, False, True), 2)
            mixed = ops.transpose(ops.matmul(scores, tokens, False, False), [0, 2, 1])
            x = ops.add(x, ops.reshape(mixed, [1, 24, 8, 8], False))
    path = folder / "small.xml"
    ov.save_model(ov.Model([ops.reduce_mean(x, [2, 3], False)], [pixels], "small"), path)
    return path


def pictures(count: int, size: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pictures."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 4, 4, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(s).resize((size, size))) for s in small])


def test_without_nncf_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(BackboneError, match=r"pip install 'tagkin\[int8\]'"):
        quantize_graph(small_graph(tmp_path), tmp_path, pictures(4), pictures(4))
    assert not (tmp_path / "model.xml").exists()


@pytest.fixture(scope="module")
def drawings(
    demo_images: list[Path], lite0_config: BackboneConfig, lite0_settings: Settings
) -> NDArray[np.uint8]:
    limits = ImageLimits.from_settings(lite0_settings)
    some = demo_images[::2]
    opened = [decode(read_bytes(path, limits), limits).image for path in some]
    return np.stack([fit_square(image, lite0_config.image_size, "pad") for image in opened])


@needs_nncf
@pytest.mark.slow
def test_the_real_backbone_keeps_its_neighbours(
    lite0: Runtime,
    lite0_config: BackboneConfig,
    cache_dir: Path,
    drawings: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    calibration, check = drawings[::2], drawings[1::2]
    report = quantize_graph(cached_graph(lite0_config, cache_dir), tmp_path, calibration, check)
    print(f"{len(calibration)} + {len(check)} drawings: {report}")
    assert report.calibration_images == len(calibration)
    assert report.mean_cosine >= 0.97
    assert report.neighbour_overlap >= 0.85
    assert report.left_out == ()
    assert {p.name for p in tmp_path.iterdir()} == {"model.xml", "model.bin"}
    vectors, expected = Runtime(tmp_path / "model.xml", "int8").embed(check), lite0.embed(check)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((vectors * expected).sum(axis=1) / norms).mean() == pytest.approx(report.mean_cosine)
    weights = cached_graph(lite0_config, cache_dir).with_suffix(".bin").stat().st_size
    assert (tmp_path / "model.bin").stat().st_size < 0.5 * weights


@needs_nncf
def test_sensitive_layers_are_left_out_if_need_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, made, notes = small_graph(tmp_path), tmp_path / "made", list[str]()
    made.mkdir()
    overlaps = iter([0.2, 0.1, 0.4, 0.3])  # of nothing left out, then 5, 10 and 20 %
    monkeypatch.setattr(quantize, "_neighbour_overlap", lambda *_: next(overlaps))
    report = quantize_graph(
        graph, made, pictures(20), pictures(30, seed=1), min_overlap=0.9, note=notes.append
    )
    assert len(notes) == 3
    assert "keeps 20.0%" in notes[0]
    assert "the 1 most sensitive of" in notes[0]
    assert report.neighbour_overlap == 0.4
    assert len(report.left_out) == 1
    assert report.left_out[0] not in quantized_inputs(made / "model.xml")
    assert quantized_inputs(made / "model.xml")
    assert {p.name for p in made.iterdir()} == {"model.xml", "model.bin"}


@needs_nncf
def test_no_more_is_left_out_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlaps = iter([0.2, 0.95])
    monkeypatch.setattr(quantize, "_neighbour_overlap", lambda *_: next(overlaps))
    made = tmp_path / "made"
    made.mkdir()
    report = quantize_graph(small_graph(tmp_path), made, pictures(9), pictures(9), min_overlap=0.9)
    assert (report.neighbour_overlap, len(report.left_out)) == (0.95, 1)


def quantized_inputs(graph: Path) -> set[str]:
    """Names of the layers whose input is rounded."""
    nodes = import_openvino().Core().read_model(graph).get_ops()
    return {
        node.get_friendly_name()
        for node in nodes
        if node.get_input_size()
        and node.input_value(0).get_node().get_type_name() == "FakeQuantize"
    }


@needs_nncf
def test_a_layer_that_is_left_out_is_not_quantized(tmp_path: Path) -> None:
    nncf, graph, made = quantize._import_nncf(), small_graph(tmp_path), tmp_path / "made.xml"
    quantize._quantize(nncf, graph, made, pictures(10), ())
    assert {"stem", "body", "top"} <= quantized_inputs(made)
    ranked = quantize._most_sensitive(graph, made, pictures(4))
    assert {"stem", "body", "top"} <= set(ranked)
    assert quantize._most_sensitive(graph, made, pictures(4)) == ranked
    quantize._quantize(nncf, graph, made, pictures(10), ["body"])
    assert quantized_inputs(made) & {"stem", "body", "top"} == {"stem", "top"}


@needs_nncf
def test_the_layer_that_adds_most_noise_is_first(tmp_path: Path) -> None:
    nncf, graph, made = quantize._import_nncf(), small_graph(tmp_path), tmp_path / "made.xml"
    quantize._quantize(nncf, graph, made, pictures(10), ())
    ov = import_openvino()
    model = ov.Core().read_model(made)
    for node in model.get_ops():
        if node.get_friendly_name() == "body":  # a range of which most values are outside
            quantizer = node.input_value(0).get_node()
            for i in (2, 4):
                high = ov.opset13.constant(0.05 * quantizer.input_value(i).get_node().data)
                quantizer.input(i).replace_source_output(high.output(0))
    ov.save_model(model, tmp_path / "worse.xml", compress_to_fp16=False)
    assert quantize._most_sensitive(graph, tmp_path / "worse.xml", pictures(4))[0] == "body"


@needs_nncf
def test_attention_is_quantized_too(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    graph = small_graph(tmp_path, attention=True)
    report = quantize_graph(graph, made, pictures(40), pictures(60, seed=1))
    assert report.mean_cosine > 0.99
    assert quantized_inputs(made / "model.xml")


@needs_nncf
def test_the_same_images_give_the_same_graph(tmp_path: Path) -> None:
    reports: list[Quantized] = []
    vectors: list[NDArray[np.float32]] = []
    graph = small_graph(tmp_path)
    for name in ("once", "twice"):
        made = tmp_path / name
        made.mkdir()
        reports.append(quantize_graph(graph, made, pictures(20), pictures(30, seed=1)))
        vectors.append(Runtime(made / "model.xml", "int8").embed(pictures(5, seed=2)))
    assert reports[0] == reports[1]
    np.testing.assert_array_equal(*vectors)
    weights = [(tmp_path / name / "model.bin").read_bytes() for name in ("once", "twice")]
    assert weights[0] == weights[1]


@needs_nncf
@pytest.mark.parametrize(
    ("calibration", "check"),
    [(pictures(4)[:0], pictures(4)), (pictures(4), pictures(1)), (pictures(4, 8), pictures(4))],
)
def test_unfit_images_are_an_error(
    calibration: NDArray[np.uint8], check: NDArray[np.uint8], tmp_path: Path
) -> None:
    with pytest.raises(BackboneError, match="int8 needs at least 1 image"):
        quantize_graph(small_graph(tmp_path), tmp_path, calibration, check)


@needs_nncf
def test_a_damaged_graph_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "graph.xml").write_text("<net/>")
    with pytest.raises(BackboneError, match=r"graph\.xml"):
        quantize_graph(tmp_path / "graph.xml", tmp_path, pictures(4), pictures(4))


@needs_nncf
def test_nncf_prints_nothing_writes_no_id_and_connects_to_nothing(tmp_path: Path) -> None:
    home, made = tmp_path / "home", tmp_path / "made"
    home.mkdir()
    made.mkdir()
    np.save(tmp_path / "images.npy", pictures(30))
    small_graph(tmp_path)
    code = (
        "import logging, socket, sys\n"
        "def refuse(*args): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from tagkin.backbones.quantize import quantize_graph\n"
        "folder = Path(sys.argv[1])\n"
        "images = np.load(folder / 'images.npy')\n"
        "quantize_graph(folder / 'small.xml', folder / 'made', images[:10], images[10:],\n"
        "               min_overlap=1.01)\n"
        "import nncf.telemetry\n"
        "assert type(nncf.telemetry.telemetry).__name__ == 'MagicMock'\n"
        "assert logging.getLoggerClass() is logging.Logger\n"
        "assert logging.root.manager.disable == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=subprocess_environment({"HOME": str(home)}),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
    assert (made / "model.xml").exists()
