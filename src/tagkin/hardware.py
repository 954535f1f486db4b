"""What this machine has."""

import math
import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from tagkin.cgroups import cpu_quota

_ISA_WITHOUT_VNNI = {"SSE41", "AVX", "AVX2", "AVX512_CORE"}
_ISA_WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}


def usable_cores() -> int:
    """Returns the number of processor cores that this process may use.

    That is what its affinity allows (``taskset``), or less if a control group limits its time, as
    containers do; part of a core counts as one.
    """
    return min(_allowed_cores(), limited_cores() or sys.maxsize)


def limited_cores() -> int | None:
    """Returns the cores that control groups leave to this process, if fewer than its affinity."""
    quota = cpu_quota()
    cores = math.ceil(quota) if quota else None
    return cores if cores is not None and cores < _allowed_cores() else None


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@cache
def processor_flags() -> frozenset[str]:
    """Returns the instruction sets of the processor by Linux's names; empty where unknown."""
    return frozenset(_cpuinfo("flags").split())


def processor_name() -> str:
    """Returns the processor's model name as the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def has_bf16() -> bool:
    """Returns whether the processor computes in bf16 itself.

    OpenVINO's own list of capabilities names bf16 as well where it only emulates it, several
    times slower than f32. ``ONEDNN_MAX_CPU_ISA`` can hide instructions from OpenVINO.
    """
    return _has_any({"amx_bf16", "avx512_bf16"}, _ISA_WITHOUT_BF16)


#: Instruction sets that matter to networks: a name, Linux's names for it, and the values of
#: ``ONEDNN_MAX_CPU_ISA`` that hide it from OpenVINO.
_BELOW_AVX512 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI"}
_INSTRUCTIONS: tuple[tuple[str, set[str], set[str]], ...] = (
    ("AVX2", {"avx2"}, {"SSE41", "AVX"}),
    ("AVX-512", {"avx512f"}, _BELOW_AVX512),
    ("VNNI", {"avx_vnni", "avx512_vnni"}, _ISA_WITHOUT_VNNI),
    ("bf16", {"avx512_bf16"}, _ISA_WITHOUT_BF16),
    ("AMX", {"amx_bf16"}, _ISA_WITHOUT_BF16 | {"AVX512_CORE_BF16", "AVX512_CORE_FP16"}),
)


def instructions() -> tuple[str, ...]:
    """Returns the names of the instruction sets that speed up networks and may be used here.

    Of ``AVX2``, ``AVX-512``, ``VNNI``, ``bf16`` and ``AMX``; ``ONEDNN_MAX_CPU_ISA`` hides some.
    """
    return tuple(name for name, flags, hiding in _INSTRUCTIONS if _has_any(flags, hiding))


def _has_any(flags: set[str], hiding: set[str]) -> bool:
    """Returns whether the processor has one of some flags, and nothing hides it from OpenVINO.

    Args:
        flags: By Linux's names.
        hiding: Values of ``ONEDNN_MAX_CPU_ISA`` that do.
    """
    ceiling = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return ceiling not in hiding and not processor_flags().isdisjoint(flags)


def _cpuinfo(field: str) -> str:
    """Returns what Linux says of the first core; empty where it says nothing."""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        if found := re.search(rf"^{field}[ \t]*:(.*)$", text, re.MULTILINE):
            return found.group(1).strip()
    return ""


def has_vnni() -> bool:
    """Returns whether the processor adds up int8 products in 32 bits; no where that is unknown."""
    return _has_any({"avx_vnni", "avx512_vnni", "amx_int8"}, _ISA_WITHOUT_VNNI)
