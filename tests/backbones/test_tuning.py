"""What is measured on this machine: once, remembered, and safe whatever the machine does.

How fast anything is decides nothing here: rates are made up, but for one run of the real thing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_runtime import graph_for_single_images, tiny_graph

from tagkin.backbones import BackboneConfig, Runtime, cached_graph, tuning
from tagkin.backbones.tuning import PrecisionChoice, choose_batch, choose_precision
from tagkin.errors import BackboneError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
MANY = 1_000_000


class Machine:
    """Runs graphs in no time, at the rates and with the vectors that a test wants.

    Attributes:
        rates: Images per second by precision and batch.
        offset: Added to the vectors of a precision, whose length is about 1.
        fails: Precisions and batches with which a graph can't be loaded.
        breaks: Precisions that load, but fail when they run.
        loaded: What was loaded, in order.
        measured: How often the rates were measured.
    """

    def __init__(self) -> None:
        self.rates: dict[tuple[str, int], float] = {("f32", 1): 100.0, ("bf16", 1): 200.0}
        self.offset: dict[str, float] = {}
        self.fails: set[tuple[str, int]] = set()
        self.breaks: set[str] = set()
        self.loaded: list[tuple[str, int]] = []
        self.measured = 0

    def load(self, graph: Path, precision: str, *, batch: int = 1) -> "FakeRuntime":
        self.loaded.append((precision, batch))
        if (precision, batch) in self.fails:
            raise BackboneError("OpenVINO can't load it")
        return FakeRuntime(self, precision, batch)

    def rate(self, runtimes: "list[FakeRuntime]", images: NDArray[np.uint8]) -> list[float]:
        self.measured += 1
        assert len(runtimes) <= 2, "each takes its memory"
        return [self.rates.get((one.precision, one.batch), 1.0) for one in runtimes]


class FakeRuntime:
    input_shape = (8, 8, 3)

    def __init__(self, machine: Machine, precision: str, batch: int) -> None:
        self.machine, self.precision, self.batch = machine, precision, batch

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.precision in self.machine.breaks:
            raise RuntimeError("could not execute a primitive")
        vectors = np.tile(np.array([1, 0.0], np.float32), (len(images), 1))
        vectors[:, 1] += self.machine.offset.get(self.precision, 0)
        return vectors


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(tuning, "Runtime", made.load)
    monkeypatch.setattr(tuning, "_rates", made.rate)
    monkeypatch.setattr(tuning, "_WORTH_SECONDS", 0.0)  # every run counts as a long one
    return made


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return tmp_path / "model.xml"


# f32 or bf16


def test_bf16_is_chosen_if_it_is_faster_and_as_good(machine: Machine, graph: Path) -> None:
    choice = choose_precision(graph, IMAGES)
    assert (choice.precision, choice.distorted) == ("bf16", False)
    assert (choice.f32, choice.bf16) == (100, 200)
    assert choice.cosine == pytest.approx(1)
    assert "200 images/s" in str(choice)


@pytest.mark.parametrize("rate", [20.0, 100.0, 105.0])
def test_bf16_that_gains_nothing_is_not_chosen(rate: float, machine: Machine, graph: Path) -> None:
    machine.rates["bf16", 1] = rate
    choice = choose_precision(graph, IMAGES)
    assert (choice.precision, choice.distorted) == ("f32", False)


@pytest.mark.parametrize("when", ["loaded", "run"])
def test_bf16_that_fails_is_not_chosen(when: str, machine: Machine, graph: Path) -> None:
    if when == "loaded":
        machine.fails.add(("bf16", 1))
    else:
        machine.breaks.add("bf16")
    choice = choose_precision(graph, IMAGES)
    assert (choice.precision, choice.bf16, choice.distorted) == ("f32", 0, False)
    assert "failed" in str(choice)
    assert choose_precision(graph, IMAGES) == choice
    assert machine.measured == 1


@pytest.mark.parametrize("offset", [0.2, 5, float("nan"), float("inf")])
def test_bf16_that_changes_the_vectors_is_not_chosen(
    offset: float, machine: Machine, graph: Path
) -> None:
    machine.offset["bf16"] = offset
    choice = choose_precision(graph, IMAGES)
    assert (choice.precision, choice.distorted) == ("f32", True)
    assert 0 <= choice.cosine < 0.995
    assert choose_precision(graph, IMAGES) == choice  # and goes through the file unchanged


def test_a_choice_is_measured_once_and_remembered(machine: Machine, graph: Path) -> None:
    first = choose_precision(graph, IMAGES)
    machine.rates["bf16", 1] = 1.0  # the machine has become busy
    assert choose_precision(graph, IMAGES) == first
    assert machine.measured == 1
    assert [path.name for path in graph.parent.iterdir()] == ["measured.json"]


@pytest.mark.parametrize("change", ["processor", "cores", "openvino", "instructions"])
def test_another_machine_measures_again(
    change: str, machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    choose_precision(graph, IMAGES)
    with monkeypatch.context() as other:
        if change == "processor":
            other.setattr(tuning, "processor_name", lambda: "Another CPU")
        elif change == "cores":
            other.setattr(tuning, "usable_cores", lambda: 999)
        elif change == "openvino":
            other.setattr(tuning, "version", lambda _: "2099.1")
        else:
            other.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        machine.rates["bf16", 1] = 1.0
        assert choose_precision(graph, IMAGES).precision == "f32"
        assert machine.measured == 2
    assert choose_precision(graph, IMAGES).precision == "bf16"  # this one's is still known
    assert machine.measured == 2


def damaged_choices() -> list[Any]:
    good = {"precision": "bf16", "f32": 1.0, "bf16": 2.0, "cosine": 1.0}
    return [
        None,
        5,
        "bf16",
        [],
        {},
        {"precision": "bf16"},
        {**good, "precision": "f64"},
        {**good, "precision": ["bf16"]},
        {**good, "f32": "fast"},
        {**good, "cosine": None},
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'{"machine": 5}'])
def test_a_damaged_file_is_ignored_and_mended(
    content: bytes, machine: Machine, graph: Path
) -> None:
    (graph.parent / "measured.json").write_bytes(content)
    for _ in range(2):
        assert choose_precision(graph, IMAGES).precision == "bf16"
    assert machine.measured == 1


@pytest.mark.parametrize("damaged", damaged_choices())
def test_a_damaged_entry_is_ignored_and_mended(damaged: Any, machine: Machine, graph: Path) -> None:
    choose_batch(graph, "f32", MANY)
    file = graph.parent / "measured.json"
    content = json.loads(file.read_text("utf-8"))
    (name,) = content
    content[name] |= {"precision": damaged, "batch-f32": damaged}
    file.write_text(json.dumps(content), "utf-8")
    machine.measured = 0
    choice = choose_precision(graph, IMAGES)
    assert (choice.precision, machine.measured) == ("bf16", 1)
    assert choose_batch(graph, "f32", MANY) == 1
    machine.measured = 0
    assert choose_precision(graph, IMAGES) == choice
    assert choose_batch(graph, "f32", MANY) == 1
    assert machine.measured == 0


def test_a_cache_that_cannot_be_written_only_forgets(machine: Machine, tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "model.xml"
    assert choose_precision(absent, IMAGES).precision == "bf16"
    assert choose_batch(absent, "f32", MANY) == 1


# The batch


@pytest.mark.parametrize(
    ("by_four", "by_eight", "expected"),
    [
        (90.0, 80.0, 1),
        (101.0, 102.0, 1),  # a gain that is only noise
        (150.0, 120.0, 4),
        (150.0, 151.0, 4),
        (110.0, 130.0, 8),
        (90.0, 130.0, 8),
    ],
)
def test_a_larger_batch_is_chosen_if_it_is_worth_it(
    by_four: float, by_eight: float, expected: int, machine: Machine, graph: Path
) -> None:
    machine.rates |= {("f32", 4): by_four, ("f32", 8): by_eight}
    assert choose_batch(graph, "f32", MANY) == expected
    machine.measured, machine.rates = 0, {}
    assert choose_batch(graph, "f32", MANY) == expected
    assert machine.measured == 0


def test_each_precision_has_a_batch_of_its_own(machine: Machine, graph: Path) -> None:
    machine.rates |= {("f32", 4): 150.0, ("bf16", 4): 150.0, ("bf16", 8): 400.0}
    assert choose_batch(graph, "f32", MANY) == 4
    assert choose_batch(graph, "bf16", MANY) == 8
    choose_precision(graph, IMAGES)
    assert (choose_batch(graph, "f32", MANY), choose_batch(graph, "bf16", MANY)) == (4, 8)


def test_for_few_images_nothing_is_loaded_or_measured(machine: Machine, graph: Path) -> None:
    for images in (0, 1, 10, 500):
        assert choose_batch(graph, "f32", images) == 1
    assert (machine.loaded, machine.measured) == ([], 0)
    assert list(graph.parent.iterdir()) == []


def test_for_images_that_are_soon_done_nothing_is_measured(
    machine: Machine, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_WORTH_SECONDS", 1e12)
    assert choose_batch(graph, "f32", MANY) == 1
    assert machine.measured == 0


def test_a_single_image_is_no_batch_whatever_is_remembered(machine: Machine, graph: Path) -> None:
    machine.rates["f32", 8] = 150.0
    assert choose_batch(graph, "f32", MANY) == 8
    assert choose_batch(graph, "f32", 1) == 1  # a query that computed 8 images would be slow
    assert choose_batch(graph, "f32", MANY) == 8


@pytest.mark.parametrize(("fails", "expected"), [({4}, 8), ({8}, 4), ({4, 8}, 1)])
def test_a_batch_that_the_graph_cannot_take_is_skipped(
    fails: set[int], expected: int, machine: Machine, graph: Path
) -> None:
    machine.fails = {("f32", batch) for batch in fails}
    machine.rates |= {("f32", 4): 150.0, ("f32", 8): 170.0}
    assert choose_batch(graph, "f32", MANY) == expected


# The real thing


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures hardly at all: what comes out is a matter of luck, but legal."""
    monkeypatch.setattr(tuning, "_SECONDS", 0.01)
    monkeypatch.setattr(tuning, "_ROUNDS", 1)
    monkeypatch.setattr(tuning, "_WORTH_SECONDS", 0.0)


@pytest.mark.usefixtures("quick", "lite0")
def test_the_whole_way_on_the_real_backbone(
    lite0_config: BackboneConfig, cache_dir: Path, tmp_path: Path
) -> None:
    cached = cached_graph(lite0_config, cache_dir)
    for file in ("model.xml", "model.bin"):
        (tmp_path / file).symlink_to(cached.parent / file)
    graph = tmp_path / "model.xml"
    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8)
    choice = choose_precision(graph, images)
    assert choice.precision in ("f32", "bf16")
    assert choice.f32 > 0
    assert 0 <= choice.cosine <= 1.0001
    batch = choose_batch(graph, choice.precision, MANY)
    assert batch in (1, 4, 8)
    assert choose_precision(graph, images) == choice
    assert choose_batch(graph, choice.precision, MANY) == batch
    vectors = Runtime(graph, choice.precision, batch=batch).embed(images)
    assert vectors.shape == (4, 1280)


@pytest.mark.usefixtures("quick")
def test_a_real_graph_for_single_images_stays_with_them(tmp_path: Path) -> None:
    assert choose_batch(graph_for_single_images(tmp_path), "f32", MANY) == 1
    assert choose_batch(tiny_graph(tmp_path), "f32", MANY) in (1, 4, 8)


def test_a_choice_says_why() -> None:
    assert str(PrecisionChoice("bf16", 10, 25, 0.9991)) == (
        "bf16 (bf16 25 images/s, f32 10, mean cosine between them 0.9991)"
    )
