"""What this machine has."""

import os
import platform
import re
from functools import cache
from pathlib import Path


def usable_cores() -> int:
    """Returns the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@cache
def processor_flags() -> frozenset[str]:
    """Returns the instruction sets of the processor by Linux's names; empty where unknown."""
    try:
        found = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text("ascii"), re.M)
    except (OSError, UnicodeDecodeError):
        return frozenset()
    return frozenset(found.group(1).split()) if found else frozenset()


def processor_name() -> str:
    """Returns the processor's model name as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
        found = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
