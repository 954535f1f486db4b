"""What the benchmarks share to say where they ran and to write their tables."""

from collections.abc import Sequence
from pathlib import Path

from tagkin import hardware

_FLAGS = ("avx512_vnni", "avx512_bf16", "amx_bf16")


def machine() -> str:
    """Returns the processor, its instructions that matter, and the number of cores."""
    flags = [flag for flag in _FLAGS if flag in hardware.processor_flags()]
    return (
        f"{hardware.processor_name()} ({', '.join(flags) or 'no AVX-512'}), "
        f"{hardware.usable_cores()} cores"
    )


def show(name: str, lines: Sequence[str], page: Path | None) -> None:
    """Prints a table, and puts it between its marks in a Markdown page if one is given."""
    text = "\n".join(lines)
    print("\n" + text + "\n", flush=True)
    if page:
        start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
        whole = page.read_text("utf-8")
        if start not in whole or end not in whole:
            raise SystemExit(f"{page} has no place for this table: put {start} and {end} into it")
        before, after = whole.split(start)[0], whole.split(end)[1]
        page.write_text(f"{before}{start}\n{text}\n{end}{after}", "utf-8")


def resident(process: int | str = "self", *, peak: bool = False) -> int:
    """Returns the memory of a process in bytes, now or at most since it began."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    name = "VmHWM:" if peak else "VmRSS:"
    return 1024 * int(status.split(name)[1].split()[0])
