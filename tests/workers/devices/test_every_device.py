"""What every device must do."""

import time
from pathlib import Path

import psutil
import pytest

from workers.devices.device import Device
from workers.devices.errors import DeviceCommandFailed, DeviceTimedOut
from workers.devices.workspace import workspace


def test_a_command_gives_status_output_and_errors(device: Device) -> None:
    done = device.shell("echo out; echo oh dear >&2; exit 3")
    assert (done.status, done.output, done.errors) == (3, "out\n", "oh dear\n")


def test_quotes_spaces_and_other_letters_arrive(device: Device) -> None:
    assert device.shell("""printf '%s|' "a  b" 'it'"'"'s' '$HOME' 'ä' '\\n'""").output == (
        "a  b|it's|$HOME|ä|\\n|"
    )


def test_a_command_reads_nothing_and_waits_for_nobody(device: Device) -> None:
    assert device.shell("cat", 20).output == ""


def test_a_command_that_takes_too_long_ends_there_too(device: Device) -> None:
    start = time.monotonic()
    with pytest.raises(DeviceTimedOut, match=r"sleep 61\.25.* took longer than 1 s"):
        device.shell("sleep 61.25", 1)
    assert time.monotonic() - start < 20
    sleeping = [one for one in psutil.process_iter(["cmdline"]) if _sleeps(one)]
    assert sleeping == []


def test_a_command_that_is_killed_before_its_time_has_not_timed_out(device: Device) -> None:
    """As by the kernel, when memory runs out: a board's program tells so by its status."""
    done = device.shell("kill -KILL $$; sleep 5", 20)
    assert abs(done.status) in (137, 9)


def _sleeps(process: psutil.Process) -> bool:
    return process.info["cmdline"] == ["sleep", "61.25"]


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_files_go_there_and_back_whole(device: Device, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "a source", tmp_path / "fetched"
    source.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
    path = f"{device.scratch_folder}/it's there"
    device.push(source, path)
    device.pull(path, target)
    assert target.read_bytes() == source.read_bytes()


def test_what_is_not_there_cannot_be_fetched(device: Device, tmp_path: Path) -> None:
    with pytest.raises(DeviceCommandFailed, match="no-such-file"):
        device.pull(f"{device.scratch_folder}/no-such-file", tmp_path / "fetched")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_pushed_into_a_folder_that_is_not_there(device: Device, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    with pytest.raises(DeviceCommandFailed, match="cannot be copied to"):
        device.push(source, f"{device.scratch_folder}/no/folder/here")


def test_a_workspace_is_fresh_and_gone_afterwards(device: Device, tmp_path: Path) -> None:
    source = tmp_path / "one"
    source.write_text("1\n")
    with workspace(device) as one, workspace(device) as other:
        assert one.folder != other.folder
        one.push(source, "pushed")
        assert one.run(["cat", "pushed"], 20) == "1\n"
        assert one.run(["ls"], 20) == "pushed\n"
        assert other.run(["ls"], 20) == ""
        one.pull("pushed", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "1\n"
    assert device.shell(f"ls -d {one.folder}").status != 0


def test_a_failing_command_says_what_it_said(device: Device) -> None:
    with (
        workspace(device) as folder,
        pytest.raises(DeviceCommandFailed, match="sh ended with status 7 on the device: no model"),
    ):
        folder.run(["sh", "-c", "echo no model >&2; exit 7"], 20)


def test_a_workspace_that_cannot_be_made_says_where(device: Device, monkeypatch) -> None:
    monkeypatch.setattr(type(device), "scratch_folder", "/nowhere")
    with pytest.raises(DeviceCommandFailed, match="in /nowhere on the device"), workspace(device):
        pass
