"""Limits as the kernel shows them to containers and units, in both versions of control groups."""

import pytest

from workers.container_limits import granted_cores, granted_memory_bytes

GIB = 2**30
V2_CONTAINER = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
    "sys/fs/cgroup/cpu.max": "250000 100000\n",
}
V2_UNIT = {
    "proc/self/cgroup": "0::/system.slice/archfront-worker.service\n",
    "sys/fs/cgroup/system.slice/memory.max": f"{6 * GIB}\n",
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/system.slice/archfront-worker.service/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/archfront-worker.service/cpu.max": "150000 100000\n",
}
V1_CONTAINER = {
    "proc/self/cgroup": "5:cpu,cpuacct:/docker/f00d\n4:memory:/docker/f00d\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}
V1_FREE = {
    "proc/self/cgroup": "4:memory:/user\n3:cpu:/\n",
    "sys/fs/cgroup/memory/user/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}


@pytest.mark.parametrize(
    ("files", "memory_bytes", "cores"),
    [
        pytest.param(V2_CONTAINER, 8 * GIB, 2.5, id="v2-container"),
        pytest.param(V2_UNIT, 6 * GIB, 1.5, id="v2-unit"),
        pytest.param(V1_CONTAINER, 4 * GIB, 3.0, id="v1-container"),
        pytest.param(V1_FREE, None, None, id="v1-free"),
        pytest.param({}, None, None, id="no-groups"),
    ],
)
def test_the_tightest_of_a_processs_groups_counts(tmp_path, files, memory_bytes, cores):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert granted_memory_bytes(tmp_path) == memory_bytes
    assert granted_cores(tmp_path) == cores


def test_on_this_machine_they_can_be_read():
    assert granted_memory_bytes() is None or granted_memory_bytes() > 0
    assert granted_cores() is None or granted_cores() > 0
