"""How the cores of one or more machines are dealt out to workers."""

from collections.abc import Sequence

from tagkin.errors import EngineError

#: Of a worker, if nobody says how many there should be. One process can keep more busy, but all
#: of its images are decoded under one interpreter's lock.
_CORES_OF_WORKER = 4


def share_out(cores: Sequence[int], wanted: int | None = None) -> tuple[int, int]:
    """Returns the number of workers, and how many cores each of them has.

    Args:
        cores: Of each machine.
        wanted: Number of workers; one for every four cores of a machine if None.

    Raises:
        EngineError: There are fewer cores than workers.
    """
    usable = [count for count in cores if count > 0]
    if wanted is None:
        wanted = sum(max(1, count // _CORES_OF_WORKER) for count in usable)
    if not 0 < wanted <= sum(usable):
        raise EngineError(
            f"{wanted} workers need a core each, and there are {sum(usable)}: ask for fewer with "
            "--workers, or add machines to the Ray cluster"
        )
    each = next(
        size
        for size in range(max(usable), 0, -1)
        if sum(count // size for count in usable) >= wanted
    )
    return wanted, each
