"""The advice on machines of several kinds, from the shipped table and from measurements."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.backbones import BACKBONES
from tagkin.machine import Machine
from tagkin.recommending.advice import Advice, Goal, Probed, Wish, advise, settings_of
from tagkin.recommending.costs import CostModel
from tagkin.recommending.gpus import published_gpu
from tagkin.recommending.ratios import shipped_ratios
from tagkin.recommending.stored import Measurement, Measurements
from tagkin.settings import load_settings


def advice(machine: str, images: int = 100_000, goal: Goal = "balanced", **wish: float) -> Advice:
    return advise(CostModel(Machine.assume(machine)), Wish(images, goal, **wish))


def test_the_table_knows_every_backbone() -> None:
    assert set(shipped_ratios().backbones) == set(BACKBONES)


def test_a_large_machine_gets_a_large_backbone() -> None:
    said = advice("64 GiB, 32 threads, no GPU")
    assert said.chosen is not None
    assert said.chosen.top1 > 85
    assert said.chosen.source == "guess"
    assert "100,000 images take" in said.reason


def test_less_memory_gives_a_smaller_backbone() -> None:
    chosen = [advice(f"{memory}, 4 cores").chosen for memory in ("64G", "6G", "2G")]
    first = [option.first_memory for option in chosen if option]
    assert len(first) == 3
    assert first == sorted(first, reverse=True)
    assert first[-1] < first[0]


def test_a_machine_that_is_too_small_for_any_is_told_so() -> None:
    said = advice("200M, 1 core")
    assert said.chosen is None
    assert "no backbone fits" in said.reason
    assert all(option.reason_against for option in said.options)


def test_a_budget_that_none_keeps_is_told_with_the_quickest() -> None:
    said = advice("64G, 1 core", images=10**6, budget=60.0)
    assert said.chosen is None
    assert "within 60 s" in said.reason
    assert "efficientnet-lite0" in said.reason


def test_the_goals_differ_as_their_names_say() -> None:
    machine = "64G, 2 cores"
    speed, balanced, accuracy = (
        advice(machine, goal=goal).chosen for goal in ("speed", "balanced", "accuracy")
    )
    assert speed and balanced and accuracy
    assert speed.seconds <= balanced.seconds <= accuracy.seconds
    assert accuracy.top1 == max(spec.top1 for spec in BACKBONES.values())


def test_more_images_never_make_the_choice_slower_for_each() -> None:
    rates = [
        option.images_per_second
        for count in (100, 10_000, 100_000, 1_000_000)
        if (option := advice("64G, 2 cores", images=count).chosen)
    ]
    assert len(rates) == 4
    assert rates == sorted(rates)


@given(
    st.integers(256, 65536),
    st.integers(1, 64),
    st.integers(1, 10**8),
    st.sampled_from(["accuracy", "speed", "balanced"]),
    st.one_of(st.none(), st.floats(1, 1e7)),
    st.sampled_from(["", ", amx", ", bf16", ", avx512"]),
)
def test_what_is_advised_fits(
    megabytes: int, cores: int, images: int, goal: Goal, budget: float | None, more: str
) -> None:
    machine = Machine.assume(f"{megabytes}M, {cores} cores{more}")
    said = advise(CostModel(machine), Wish(images, goal, budget))
    assert said.reason.endswith(".")
    if said.chosen:
        assert said.chosen.first_memory <= machine.available
        assert said.chosen.memory <= said.chosen.first_memory
        assert budget is None or said.chosen.seconds <= budget
        if said.chosen.fine_tune_memory:
            assert said.chosen.fine_tune_memory <= machine.available


def test_one_core_takes_longer_and_amx_less_time() -> None:
    def rate(machine: str) -> float:
        costs = CostModel(Machine.assume(machine))
        return costs.rate("efficientnetv2-l", 384).images_per_second

    assert rate("16G, 1 core") < rate("16G, 4 cores") < rate("16G, 4 cores, bf16")
    assert rate("16G, 4 cores, bf16") < rate("16G, 4 cores, amx")


def row(architecture: str, size: int, rate: float, **more: object) -> Measurement:
    plain = Measurement(architecture, size, "f32", rate, rate * 1.1, 0.004, 2**30, 2**31, 1, 9)
    return replace(plain, **more)  # type: ignore[arg-type]


def test_a_measurement_comes_before_the_table_and_scales_the_others() -> None:
    machine = Machine.assume("16G, 4 cores")
    before = CostModel(machine)
    known = Measurements(rows=[row("efficientnetv2-s", 384, 1.0)], requests=1)
    costs = CostModel(machine, known)
    assert costs.rate("efficientnetv2-s", 384).source == "measured"
    assert costs.rate("efficientnetv2-s", 384).images_per_second == 1.0
    assert costs.rate("efficientnetv2-s", 224).source == "other size"
    assert costs.rate("efficientnetv2-s", 224).images_per_second == pytest.approx(2.5, rel=0.1)
    other = costs.rate("efficientnetv2-l", 384)
    assert other.source == "ratios"
    assert other.images_per_second < before.rate("efficientnetv2-l", 384).images_per_second
    assert costs.embed_memory("efficientnetv2-s", 384) == pytest.approx(2**30)
    assert costs.embed_memory("efficientnetv2-s", 384, 8) > 2**30


def test_what_ran_out_of_memory_here_is_not_advised() -> None:
    known = Measurements(failed={"convnext-large": "it ran out of memory"})
    machine = Machine.assume("64G, 16 cores")
    said = advise(CostModel(machine, known), Wish(1000, "accuracy"))
    assert said.chosen and said.chosen.architecture != "convnext-large"
    assert any("ran out of memory" in option.reason_against for option in said.options)


def test_a_limit_of_addresses_counts_as_measured_where_it_was() -> None:
    small = replace(Machine.assume("64G, 2 cores"), addresses=2 * 2**30)
    nothing = advise(CostModel(small), Wish(1000))
    assert nothing.chosen is None
    assert "ulimit" in nothing.reason
    known = Measurements(rows=[row("efficientnetv2-s", 384, 5.0, addresses=2**30)], requests=1)
    graphs = {("efficientnetv2-s", 384)}
    seen = advise(CostModel(small, known), Wish(1000), exported=graphs)
    assert seen.chosen and seen.chosen.architecture == "efficientnetv2-s"
    larger = replace(small, addresses=6 * 2**30)
    assert advise(CostModel(larger), Wish(1000)).chosen is not None


def test_the_own_images_outdo_the_published_figures() -> None:
    costs = CostModel(Machine.assume("64G, 16 cores"))
    both = ["efficientnet-lite0", "efficientnetv2-s"]
    probed = {
        ("efficientnet-lite0", 224): Probed(0.6, 0.5, 500),
        ("efficientnetv2-s", 384): Probed(0.5, 0.4, 500),
    }
    said = advise(costs, Wish(1000, "accuracy", architectures=both), probed=probed)
    assert said.chosen and said.chosen.architecture == "efficientnet-lite0"
    assert "mAP 60.0 on your own images" in said.reason


def test_settings_of_the_advice_are_valid() -> None:
    chosen = advice("64G, 16 cores").chosen
    assert chosen
    settings = load_settings(settings_of(chosen))
    assert settings.model_architecture == chosen.architecture
    assert settings.image_size == chosen.image_size


def test_published_cards_are_found_by_their_drivers_name() -> None:
    card = published_gpu("NVIDIA GeForce RTX 4090")
    assert card and card.rates["vit-large", 384] > 100
    assert published_gpu("NVIDIA GeForce RTX 4090 Laptop GPU") is None
    assert published_gpu("Tesla T4") is None
