from pathlib import Path

import pytest

from workers.devices.adb import AdbDevice
from workers.devices.connect import connect
from workers.devices.devices_file import AdbEntry, LocalEntry, SshEntry, read_devices_file
from workers.devices.local import LocalDevice
from workers.devices.ssh import SshDevice
from workers.errors import WorkerSettingsInvalid

WHOLE = """
devices:
  - kind: local
    targets: [big-core]
    cores: [0]
  - kind: ssh
    targets: [rpi5, rpi5-quiet]
    host: rpi5.lab
    port: 2222
    user: pi
    identity_file: ~/.ssh/lab
    known_hosts: /etc/archfront/known_hosts
    python: /home/pi/venv/bin/python
    scratch_folder: /dev/shm
    runtimes: [onnxruntime, openvino]
    cores: [2, 3]
  - kind: adb
    targets: [pixel9-cpu4]
    serial: 41021FDJH000XX
    server_port: 5038
    runners:
      - runtime: executorch
        version: "1.5.1"
        binary: RUNNER
        command: >-
          {runner} --model_path={network} --inputs={inputs} --output_file={outputs}
          --num_executions={runs} --cpu_threads={threads}
        pattern: 'successfully \\d+ time\\(s\\) in (?P<ms>[\\d.]+) ms'
"""


@pytest.fixture
def written(tmp_path: Path):
    (tmp_path / "executor_runner").write_bytes(b"")

    def write(text: str) -> Path:
        path = tmp_path / "devices.yaml"
        path.write_text(text.replace("RUNNER", str(tmp_path / "executor_runner")))
        return path

    return write


def test_every_kind_is_read(written) -> None:
    local, ssh, adb = read_devices_file(written(WHOLE))
    assert isinstance(local, LocalEntry)
    assert isinstance(ssh, SshEntry)
    assert isinstance(adb, AdbEntry)
    assert (ssh.targets, ssh.cores) == (("rpi5", "rpi5-quiet"), (2, 3))
    assert adb.runners[0].time_of == "all"


def test_every_kind_becomes_its_device(written) -> None:
    local, ssh, adb = map(connect, read_devices_file(written(WHOLE)))
    assert isinstance(local, LocalDevice)
    assert isinstance(ssh, SshDevice)
    assert isinstance(adb, AdbDevice)
    client = ssh._client
    assert ssh._host == "pi@rpi5.lab"
    assert ssh.scratch_folder == "/dev/shm"
    for option in ("-p", "2222", str(Path.home() / ".ssh/lab"), "StrictHostKeyChecking=yes"):
        assert option in client
    assert 'UserKnownHostsFile="/etc/archfront/known_hosts"' in client
    assert adb._client == ["adb", "-P", "5038", "-s", "41021FDJH000XX"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("host: rpi5.lab", "hots: rpi5.lab", r"devices\[1\]\.hots: is not a known field.*'host'"),
        ("    host: rpi5.lab\n", "", r"devices\[1\]\.host: is missing"),
        ("port: 2222", "port: 70000", r"devices\[1\]\.port.*at most 65535.*70000"),
        ("kind: ssh", "kind: shh", r"devices\[1\]\.kind: is not a known type.*'ssh'"),
        ("host: rpi5.lab", "host: -oProxyCommand=x", r"devices\[1\]\.host: .*no name that ssh"),
        ("host: rpi5.lab", "host: pi@rpi5", r"devices\[1\]\.host: .*Give host and user each"),
        ("[onnxruntime, openvino]", "[onnx]", r"runtimes\[0\].*must be one of.*'onnxruntime'"),
        ("[rpi5, rpi5-quiet]", "[]", r"devices\[1\]\.targets.*at least 1"),
        ("rpi5-quiet", "big-core", r"names the target big-core twice"),
        ("/dev/shm", "shm", r"devices\[1\]\.scratch_folder"),
        ("cores: [0]", "cores: [-1]", r"devices\[0\]\.cores\[0\].*at least 0"),
        ("binary: RUNNER", "binary: /no/such", r"runners\[0\]\.binary: .*/no/such is no file"),
        ("{runs}", "{loops}", r"command: has no place \{loops\}.*There are runner, network"),
        ("--model_path={network} ", "", r"command: lacks the place \{network\}.*[Aa]dd it"),
        ("?P<ms>", "?P<m>", r"pattern: has to name the time's unit.*\(\?P<ms>"),
        ("(?P<ms>", "((?P<ms>", r"pattern: is no regular expression"),
        ("kind: ssh", "kind: [ssh", r"cannot be read at line \d+"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(written, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    with pytest.raises(WorkerSettingsInvalid, match=rf"(?s)devices\.yaml is not valid: .*{told}"):
        read_devices_file(written(WHOLE.replace(old, new)))


def test_a_file_that_is_not_there_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(
        WorkerSettingsInvalid, match=r"No such file or directory.*Correct --devices"
    ):
        read_devices_file(tmp_path / "no.yaml")
