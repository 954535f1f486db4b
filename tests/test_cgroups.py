"""Limits of control groups, read from folders that look like Linux's."""

from pathlib import Path

import pytest

from tagkin import hardware
from tagkin.cgroups import MemoryLimit, cpu_quota, memory_limit

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def tree(root: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    everything = {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, **files}
    for name, text in everything.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_version_2_takes_the_tightest_group_on_the_way_up(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        V2,
        "0::/user.slice/job\n",
        {
            "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/user.slice/job/memory.max": "2147483648\n",
            "sys/fs/cgroup/user.slice/job/memory.current": "1073741824\n",
            "sys/fs/cgroup/user.slice/job/memory.stat": "anon 5\ninactive_file 536870912\n",
            "sys/fs/cgroup/user.slice/memory.max": "max\n",
        },
    )
    assert cpu_quota(root) == 1.5
    assert memory_limit(root) == MemoryLimit(2**31, 2**31 - 2**29)


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        V1,
        "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n",
        {
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "6442450944\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cpu_quota(root) == 0.5
    assert memory_limit(root) == MemoryLimit(6 * 2**30, 6 * 2**30)


def test_in_a_container_the_path_may_be_that_of_the_host(tmp_path: Path) -> None:
    inside = {"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/cpu.max": "200000 100000"}
    for group in ("0::/\n", "0::/docker/abc\n", "0::/../../abc\n"):
        root = tree(tmp_path, V2, group, inside)
        assert memory_limit(root) == MemoryLimit(2**30, 2**30)
        assert cpu_quota(root) == 2


@pytest.mark.parametrize(
    ("quota", "limit"),
    [("max 100000", "max"), ("-1 100000", "-1"), ("", ""), ("x", "x"), ("0 0 0", "0"), ("5 0", "")],
)
def test_what_says_no_limit_or_nonsense_is_no_limit(quota: str, limit: str, tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu.max": quota, "sys/fs/cgroup/memory.max": limit}
    root = tree(tmp_path, V2, "0::/\n", files)
    assert cpu_quota(root) is None
    assert memory_limit(root) is None


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "allowed", "cores", "limited"),
    [(None, 8, 8, None), (1.5, 8, 2, 2), (0.2, 8, 1, 1), (16.0, 8, 8, None), (8.0, 8, 8, None)],
)
def test_a_quota_leaves_fewer_cores(
    quota: float | None,
    allowed: int,
    cores: int,
    limited: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "cpu_quota", lambda: quota)
    monkeypatch.setattr(hardware, "_allowed_cores", lambda: allowed)
    assert hardware.usable_cores() == cores
    assert hardware.limited_cores() == limited
