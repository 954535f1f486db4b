"""A machine that is looked at, and machines that are described."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin import machine as module
from tagkin.errors import SettingsError
from tagkin.machine import Machine
from tagkin.quantities import format_bytes, format_seconds, parse_bytes, parse_seconds


def test_this_machine_is_described_in_json_types(tmp_path: Path) -> None:
    here = Machine.here(tmp_path / "not there" / "library", tmp_path)
    assert here.cores >= 1
    assert 0 < here.available <= here.memory
    assert here.disk_library and here.disk_cache
    assert json.loads(json.dumps(here.to_dict()))["precision"] in ("f32", "bf16")


def test_a_limit_of_addresses_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def limits(kind: int) -> tuple[int, int]:
        size = 2**31 if kind == module.resource.RLIMIT_AS else module.resource.RLIM_INFINITY
        return size, module.resource.RLIM_INFINITY

    monkeypatch.setattr(module.resource, "getrlimit", limits)
    assert Machine.here(tmp_path, tmp_path).addresses == 2**31


@pytest.mark.parametrize(
    ("text", "memory", "cores", "precision"),
    [
        ("64 GiB, 32 threads, no GPU", 64, 16, "f32"),
        ("64GB RAM; 12 cores; AVX-512", 64, 12, "f32"),
        ("memory 8G, 4 threads, avx512 bf16, 500G disk", 8, 2, "bf16"),
        ("2 cores, 16 GiB, amx", 16, 2, "bf16"),
        ("1 thread, 2g, gpu RTX 4090", 2, 1, "f32"),
    ],
)
def test_a_machine_can_be_described(text: str, memory: int, cores: int, precision: str) -> None:
    described = Machine.assume(text)
    assert (described.memory, described.cores) == (memory * 2**30, cores)
    assert described.precision == precision
    assert described.assumed
    assert described.available < described.memory
    assert bool(described.gpus) == ("RTX" in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lacks its memory"),
        ("64 GiB", "lacks its cores"),
        ("32 threads", "lacks its memory"),
        ("64, 32 threads", "'64' says nothing"),
        ("64 GiB, 0 threads", "'0 threads' says nothing"),
        ("64 GiB, 32 GiB, 4 cores", "memory twice"),
        ("64 GiB, 4 cores, fast", "'fast' says nothing"),
        ("0G, 4 cores", "'0G' says nothing"),
    ],
)
def test_a_description_that_is_not_understood_is_one_sentence(text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as error:
        Machine.assume(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_a_machine_or_a_mistake_of_the_user(text: str) -> None:
    for parse in (Machine.assume, parse_bytes, parse_seconds):
        try:
            parse(text)  # type: ignore[operator]
        except SettingsError:
            continue


@given(
    st.integers(1, 4096),
    st.integers(1, 512),
    st.sampled_from(["threads", "cores"]),
    st.sampled_from(["GiB", "G", " gb", " GiB RAM"]),
    st.sets(st.sampled_from(["no GPU", "AVX-512", "amx", "VNNI", "1T disk"])),
)
def test_parts_come_in_any_order(
    size: int, count: int, kind: str, unit: str, more: set[str]
) -> None:
    parts = [f"{size}{unit}", f"{count} {kind}", *more]
    there, back = (Machine.assume(", ".join(each)) for each in (parts, parts[::-1]))
    assert there == back
    assert there.memory == size * 2**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16G", 2**34), ("16 GiB", 2**34), ("0.5g", 2**29), ("512MB", 2**29), ("1t", 2**40)],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("8h", 28800), ("90 min", 5400), ("1h30m", 5400), ("2 days", 172800)]
)
def test_times_are_read(text: str, expected: float) -> None:
    assert parse_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "8", "-1h", "8 x", "h", "0h", "8h x", "1e9999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no time"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "G", "-1G", "16 X", "0", "0.1", "99999999T"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no size"):
        parse_bytes(text)


@given(st.integers(1, 2**50))
def test_what_is_written_can_be_read(size: int) -> None:
    written = format_bytes(size)
    if not written.endswith("bytes"):
        assert parse_bytes(written.replace(",", "")) == pytest.approx(size, rel=0.06)
    assert format_seconds(size)
