"""How cores are dealt out to workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagkin.distributed.sharing import share_out
from tagkin.errors import EngineError


@pytest.mark.parametrize(
    ("cores", "wanted", "expected"),
    [
        ([2], None, (1, 2)),
        ([2], 2, (2, 1)),
        ([32], None, (8, 4)),
        ([32], 3, (3, 10)),
        ([6], None, (1, 6)),
        ([0, 16, 8], None, (6, 4)),  # a machine that only steers the others has none
        ([16, 8], 2, (2, 8)),
    ],
)
def test_examples(cores: list[int], wanted: int | None, expected: tuple[int, int]) -> None:
    assert share_out(cores, wanted) == expected


@given(
    cores=st.lists(st.integers(0, 128), min_size=1, max_size=20).filter(any),
    wanted=st.none() | st.integers(1, 300),
)
def test_every_worker_has_its_cores_on_one_machine(cores: list[int], wanted: int | None) -> None:
    if wanted is not None and wanted > sum(cores):
        with pytest.raises(EngineError, match="--workers"):
            share_out(cores, wanted)
        return
    workers, each = share_out(cores, wanted)
    assert workers == wanted or wanted is None
    assert each >= 1
    assert sum(count // each for count in cores) >= workers
    assert sum(count // (each + 1) for count in cores) < workers  # none lies idle that fits


def test_a_cluster_without_cores_is_an_error() -> None:
    with pytest.raises(EngineError, match="there are 0"):
        share_out([0])
