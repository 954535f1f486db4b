"""A machine as a recommendation sees it: this one with its limits, or one that is described."""

import importlib
import os
import re
import resource
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tagkin.cgroups import memory_limit
from tagkin.errors import SettingsError
from tagkin.hardware import instructions, processor_name, usable_cores
from tagkin.quantities import parse_bytes

# Of what a described machine has, the rest runs the system and a browser.
_SHARE_OF_ASSUMED = 0.85


@dataclass(frozen=True)
class GpuInfo:
    """A graphics processor.

    Attributes:
        name: As its driver tells it.
        kind: Whose library found it; ``described`` if somebody only said so.
        memory: Bytes; None where unknown.
    """

    name: str
    kind: Literal["nvidia", "intel", "described"]
    memory: int | None


@dataclass(frozen=True)
class Machine:
    """What Tagkin has to work with.

    Attributes:
        processor: Its name.
        cores: That this process may use: affinity and control groups are honoured. Of a machine
            described by its threads, half of them.
        instructions: See `tagkin.hardware.instructions`.
        memory: Bytes that the machine has, or that a control group allows.
        available: Bytes of these that are free now.
        addresses: Bytes of addresses that this process may reserve (``ulimit -v``, ``ulimit -d``);
            None if that isn't limited.
        disk_library: Free bytes where the library is or would be.
        disk_cache: Free bytes where the cache is or would be.
        gpus: Graphics processors that were found.
        assumed: Whether the machine was described rather than looked at.
    """

    processor: str
    cores: int
    instructions: tuple[str, ...]
    memory: int
    available: int
    addresses: int | None
    disk_library: int | None
    disk_cache: int | None
    gpus: tuple[GpuInfo, ...] = ()
    assumed: bool = False

    @property
    def precision(self) -> Literal["f32", "bf16"]:
        """What ``--precision auto`` comes to where bf16 is as fast as its instructions promise."""
        return "bf16" if {"bf16", "AMX"} & set(self.instructions) else "f32"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        fields = asdict(self)
        return {
            **fields,
            "instructions": list(self.instructions),
            "gpus": [asdict(gpu) for gpu in self.gpus],
            "precision": self.precision,
        }

    def with_memory(self, most: int) -> "Machine":
        """Returns the same machine, of whose memory no more than ``most`` bytes may be used."""
        return replace(self, memory=min(self.memory, most), available=min(self.available, most))

    @classmethod
    def here(cls, library: Path, cache_dir: Path, *, gpus: bool = False) -> "Machine":
        """Looks at this machine.

        Args:
            library: Folder of the library; it need not exist.
            cache_dir: Folder of the cache; it need not exist.
            gpus: Whether to look for graphics processors, which takes a second.
        """
        total, available = _memory()
        group = memory_limit()
        if group:
            total, available = min(total, group.limit), min(available, group.left)
        return cls(
            processor=processor_name(),
            cores=usable_cores(),
            instructions=instructions(),
            memory=total,
            available=available,
            addresses=_address_limit(),
            disk_library=_free(library),
            disk_cache=_free(cache_dir),
            gpus=find_gpus() if gpus else (),
        )

    @classmethod
    def assume(cls, text: str) -> "Machine":
        """Reads a description such as ``64 GiB, 32 threads, no GPU, AVX-512``.

        What isn't said is taken to be a processor with AVX2 and nothing better. Threads are two a
        core, as on most processors that count them. Memory must be said, and threads or cores.

        Raises:
            SettingsError: A part can't be understood, is there twice, or is missing.
        """
        told: dict[str, Any] = {}
        for part in (p.strip() for p in re.split(r"[,;]", text)):
            for name, value in _understand(part).items() if part else ():
                if name in told and name != "instructions":
                    raise SettingsError(f"the machine {text!r} has its {name} twice")
                told[name] = (told.get(name, ()) + value) if name == "instructions" else value
        for name, example in (("memory", "64 GiB"), ("cores", "32 threads")):
            if name not in told:
                raise SettingsError(f"the machine {text!r} lacks its {name}: add such as {example}")
        known = set(told.get("instructions", ())) or {"AVX2"}
        names = tuple(name for name in _IMPLIED if any(name in _IMPLIED[one] for one in known))
        return cls(
            processor="a described machine",
            cores=told["cores"],
            instructions=names,
            memory=told["memory"],
            available=int(_SHARE_OF_ASSUMED * told["memory"]),
            addresses=None,
            disk_library=told.get("disk"),
            disk_cache=told.get("disk"),
            gpus=told.get("gpus", ()),
            assumed=True,
        )


#: What each instruction set comes with.
_IMPLIED = {
    "AVX2": {"AVX2"},
    "AVX-512": {"AVX2", "AVX-512"},
    "VNNI": {"AVX2", "VNNI"},
    "bf16": {"AVX2", "AVX-512", "VNNI", "bf16"},
    "AMX": {"AVX2", "AVX-512", "VNNI", "bf16", "AMX"},
}
_SPELLINGS = {
    "avx2": "AVX2",
    "avx512": "AVX-512",
    "avx512f": "AVX-512",
    "vnni": "VNNI",
    "avx512vnni": "VNNI",
    "bf16": "bf16",
    "avx512bf16": "bf16",
    "amx": "AMX",
    "amxbf16": "AMX",
}


def _understand(part: str) -> dict[str, Any]:
    plain = re.sub(r"\s+", " ", part.lower())
    if plain in ("no gpu", "without gpu", "cpu only"):
        return {"gpus": ()}
    if found := re.fullmatch(r"(\d{1,5}) ?-?(threads?|cores?)", plain, re.ASCII):
        count = int(found[1]) // (2 if found[2].startswith("thread") else 1)
        if int(found[1]):
            return {"cores": max(1, count)}
    if (name := _SPELLINGS.get(re.sub(r"[-_ ]", "", plain))) is not None:
        return {"instructions": (name,)}
    if found := re.fullmatch(r"(.*\d.*?) ?(?:free )?(?:disk|ssd)|(?:disk|ssd) (.*\d.*)", plain):
        return {"disk": parse_bytes(found[1] or found[2])}
    if re.match(r"(gpu |nvidia |rtx |geforce |radeon |intel arc|arc )", plain):
        return {"gpus": (GpuInfo(re.sub(r"(?i)^gpu ", "", part), "described", None),)}
    with suppress(SettingsError):
        size = re.sub(r" ?(ram|memory)$|^(ram|memory) ", "", plain)
        if not size.replace(".", "").isdecimal():  # a bare number may be anything
            return {"memory": parse_bytes(size)}
    raise SettingsError(
        f"{part!r} says nothing of a machine that is understood: describe it like '64 GiB, 32 "
        "threads, no GPU, AVX-512', with disk as '500G disk' and a GPU as 'RTX 4090'"
    )


def find_gpus() -> tuple[GpuInfo, ...]:
    """Returns NVIDIA's GPUs if ``nvidia-ml-py`` is installed, and Intel's as OpenVINO sees them."""
    return (*_nvidia(), *_intel())


def _nvidia() -> Sequence[GpuInfo]:
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # not installed, no driver, or no GPU: each in an exception of its own
        return ()
    found = []
    try:
        for number in range(nvml.nvmlDeviceGetCount()):
            device = nvml.nvmlDeviceGetHandleByIndex(number)
            name = nvml.nvmlDeviceGetName(device)
            text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            memory = int(nvml.nvmlDeviceGetMemoryInfo(device).total)
            found.append(GpuInfo(text, "nvidia", memory))
    except nvml.NVMLError:
        return found
    finally:
        nvml.nvmlShutdown()
    return found


def _intel() -> Sequence[GpuInfo]:
    from tagkin.backbones.runtime import import_openvino

    found = []
    with suppress(ImportError, RuntimeError):
        core = import_openvino().Core()
        for device in core.available_devices:
            if device.startswith("GPU"):
                name = str(core.get_property(device, "FULL_DEVICE_NAME"))
                memory: int | None = None
                with suppress(RuntimeError):
                    memory = int(core.get_property(device, "GPU_DEVICE_TOTAL_MEM_SIZE"))
                found.append(GpuInfo(name, "intel", memory))
    return found


def _memory() -> tuple[int, int]:
    """Returns total and available bytes."""
    found = {}
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            fields = value.split()
            if fields and fields[0].isdecimal():
                found[name] = int(fields[0]) * 1024
    if "MemTotal" not in found:  # not Linux
        found["MemTotal"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    total = found["MemTotal"]
    return total, found.get("MemAvailable", total)


def _address_limit() -> int | None:
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)


def _free(folder: Path) -> int | None:
    """Returns the free bytes on the disk that a folder is on, or would be."""
    for existing in (folder.absolute(), *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(existing).free
    return None
