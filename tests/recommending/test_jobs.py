"""What a job takes, and when it is refused."""

from dataclasses import replace

import pytest

from tagkin.errors import ResourceError
from tagkin.machine import Machine
from tagkin.recommending.costs import CostModel
from tagkin.recommending.jobs import (
    embed_job,
    fine_tune_job,
    refuse_what_cannot_fit,
    short_of_memory,
)


def costs(machine: str) -> CostModel:
    return CostModel(Machine.assume(machine))


def test_a_job_says_time_memory_disk_and_how_it_knows() -> None:
    job = embed_job(costs("16G, 2 cores"), "efficientnetv2-s", 384, 100_000, 1)
    assert job
    told = str(job)
    assert "100,000 images" in told
    assert " h, " in told and "GiB of memory" in told and "MiB of disk" in told
    assert "tagkin recommend" in told
    refuse_what_cannot_fit(job, Machine.assume("16G, 2 cores"))


def test_what_cannot_fit_is_refused_with_what_would() -> None:
    small = costs("2G, 2 cores")
    job = embed_job(small, "vit-large", 384, 1000, 1)
    assert job
    with pytest.raises(ResourceError, match="--anyway") as error:
        refuse_what_cannot_fit(job, small.machine)
    assert "--model efficientnet" in str(error.value)
    assert "--model vit-large" not in str(error.value)


def test_a_disk_that_is_too_small_is_refused() -> None:
    small = costs("64G, 2 cores, 10M disk")
    job = embed_job(small, "efficientnetv2-s", 384, 10**6, 1)
    assert job
    with pytest.raises(ResourceError, match="GiB of disk"):
        refuse_what_cannot_fit(job, small.machine)


def test_memory_that_others_use_now_is_a_warning_only() -> None:
    machine = replace(Machine.assume("16G, 2 cores"), available=2**20)
    job = embed_job(CostModel(machine), "efficientnet-lite0", 224, 100, 1)
    assert job
    refuse_what_cannot_fit(job, machine)
    assert short_of_memory(job, machine)


def test_more_views_take_longer_and_an_unknown_backbone_is_not_judged() -> None:
    known = costs("16G, 2 cores")
    one, two = (embed_job(known, "efficientnetv2-s", 384, 1000, views) for views in (1, 2))
    assert one and two and one.seconds and two.seconds == pytest.approx(2 * one.seconds)
    assert embed_job(known, "onnx:mine", 384, 1000, 1) is None


def test_phase_2_needs_room_for_its_activations() -> None:
    known = costs("16G, 2 cores, 1G disk")
    job = fine_tune_job(known, "efficientnetv2-l", 384, 100_000, batch=16, views=8, epochs=8)
    assert job and job.disk > 100e9
    with pytest.raises(ResourceError, match="of disk"):
        refuse_what_cannot_fit(job, known.machine)
