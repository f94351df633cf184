"""A slice of the comparison of SSH on loopback with the host itself, and what its records say."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.devices import records
from benchmarks.devices.records import PairOfRuns, Run
from tests.workers.devices.ssh_server import SSHD

LOCAL = Run("local", 2.0, 0.01, 64, "confidence", 9.0, 0.5)


def pair(ratio: float, network: str = "small") -> PairOfRuns:
    return PairOfRuns(
        network, LOCAL, replace(LOCAL, way="ssh", latency_ms=2.0 * ratio), {"ssh": "10.0"}
    )


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    assert records.read(path) == []
    for ratio in (1.01, 0.99):
        records.append(path, pair(ratio))
    assert records.read(path) == [pair(1.01), pair(0.99)]


@pytest.mark.parametrize(("off", "verdict"), [(0.019, "within"), (-0.03, "beyond")])
def test_the_table_tells_the_median_its_interval_and_the_verdict(
    tmp_path: Path, off: float, verdict: str
) -> None:
    page = tmp_path / "README.md"
    page.write_text("Before.\n<!-- table -->\nold\n<!-- end of table -->\nAfter.\n")
    pairs = [pair(1 + off + shift) for shift in (-0.01, 0.0, 0.01, -0.02, 0.02)]
    records.write_table(page, [*pairs, pair(1.5, "large")])
    written = page.read_text()
    assert written.startswith("Before.\n")
    assert written.endswith("\nAfter.\n")
    assert "old" not in written
    assert written.index("## The small network") < written.index("## The large network")
    assert "**Median of 1 ratios: 1.5000**" in written
    assert f"**Median of 5 ratios: {1 + off:.4f}** (95 % interval" in written
    assert f"{verdict} the bar of 2 %" in written
    low, high = records.interval_of_median([one.ratio for one in pairs])
    assert 1 + off - 0.02 <= low < 1 + off < high <= 1 + off + 0.02


@pytest.mark.alone
def test_both_ways_find_about_the_same(tmp_path: Path) -> None:
    if not shutil.which("ssh") or not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here; install Debian's package `openssh-server`")
    from benchmarks.devices.network import export_network  # noqa: PLC0415
    from benchmarks.devices.ssh_loopback import USUAL, local_run, ssh_run  # noqa: PLC0415

    quick = replace(USUAL, min_pairs=32, relative_ci=0.03, time_limit_s=4.0)
    export_network("small", tmp_path)
    local, ssh = local_run("small", tmp_path, quick), ssh_run("small", tmp_path, quick)
    # One pair on a machine that does other things: the committed table has the bar of 2 %.
    assert ssh.latency_ms == pytest.approx(local.latency_ms, rel=0.2)
    assert (local.way, ssh.way) == ("local", "ssh")
