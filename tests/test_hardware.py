"""What the machine has, as its files say and as the environment limits it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagkin import hardware
from tagkin.hardware import (
    has_bf16,
    has_vnni,
    processor_flags,
    processor_name,
    usable_cores,
)


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    processor_flags.cache_clear()
    yield
    processor_flags.cache_clear()


def cpuinfo(content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Puts another file in the place of ``/proc/cpuinfo``; none if None."""
    path = tmp_path / "cpuinfo"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(hardware, "Path", lambda _: path)


def test_a_name_in_another_encoding_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo(b"model name\t: Caf\xe9 \xae\nflags\t\t: avx512_bf16\n", monkeypatch, tmp_path)
    assert has_bf16()
    assert processor_name().startswith("Caf")


def test_there_is_a_core_to_use() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_only_the_cores_that_this_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse4_1 avx2 avx512f avx512_bf16 fma", True),
        ("fpu avx512f amx_bf16 amx_tile", True),
        ("fpu sse4_1 avx2 avx512f avx512_vnni", False),
        ("avx512_bf16x", False),
        ("", False),
    ],
)
def test_bf16_is_what_the_flags_say(
    flags: str, expected: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    block = f"processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: {flags}\nbugs\t: none\n"
    cpuinfo((block * 2).encode(), monkeypatch, tmp_path)
    assert has_bf16() is expected
    assert processor_name() == "Some CPU @ 2 GHz"


@pytest.mark.parametrize("content", [None, b"", b"Features : fp asimd\n", b"flags : \xff\xfe\n"])
def test_where_the_flags_are_unknown_there_is_no_bf16(
    content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo(content, monkeypatch, tmp_path)
    assert not has_bf16()
    assert isinstance(processor_name(), str)


@pytest.mark.parametrize(
    ("ceiling", "expected"),
    [
        ("", True),
        ("ALL", True),
        ("DEFAULT", True),
        ("AVX512_CORE_BF16", True),
        ("AVX512_CORE_AMX", True),
        ("avx512_core_vnni", False),
        ("AVX512_CORE", False),
        ("AVX2", False),
        ("SSE41", False),
    ],
)
def test_instructions_that_are_hidden_from_openvino_do_not_count(
    ceiling: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "processor_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", ceiling)
    assert has_bf16() is expected


def test_hiding_nothing_gives_no_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "processor_flags", lambda: frozenset({"avx2"}))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "ALL")
    assert not has_bf16()


@pytest.mark.parametrize(
    ("flags", "ceiling", "expected"),
    [
        ("avx512f avx512_vnni", "", True),
        ("avx2 avx_vnni", "", True),
        ("amx_int8", "ALL", True),
        ("avx2 avx_vnni", "AVX2_VNNI", True),
        ("avx512f avx512_vnni", "avx512_core", False),
        ("avx512f avx512_vnni", "AVX2", False),
        ("avx2 avx512f", "", False),
        ("", "", False),
    ],
)
def test_vnni_is_what_the_flags_say_unless_hidden(
    flags: str, ceiling: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "processor_flags", lambda: frozenset(flags.split()))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", ceiling)
    assert has_vnni() is expected
