"""The devices file: which devices a worker reaches, how, and which targets they are.

devices:
- kind: ssh
targets: [rpi5]
host: rpi5.lab
python: /home/pi/venv/bin/python
runtimes: [onnxruntime]
"""

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from search_spaces.values import Name, ShortText, Text, Value
from service.domain.runtimes import RuntimeName
from service.schemas.documents import DocumentInvalid, DocumentUnreadable
from service.schemas.validation import validate
from service.schemas.yaml_text import parse_yaml
from workers.errors import WorkerSettingsInvalid

_Targets = Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
_Runtimes = Annotated[tuple[RuntimeName, ...], Field(min_length=1)]
_Cores = Annotated[tuple[Annotated[int, Field(ge=0, le=4095)], ...], Field(min_length=1)]
_Folder = Annotated[ShortText, Field(pattern="^/.*[^/]$")]


class _Entry(Value):
    """targets: the names under which experiments ask for it.

    device: names the physical device, where its own identity does not tell it.
    """

    targets: _Targets
    device: ShortText | None = None


class LocalEntry(_Entry):
    """The worker's own host, on cores of its own choice.

    runtimes: those to measure in (None: all that are installed).
    """

    kind: Literal["local"]
    cores: _Cores | None = None
    runtimes: _Runtimes | None = None


class SshEntry(_Entry):
    """A Linux machine that `ssh` reaches; what is not given comes from `~/.ssh/config`.

    known_hosts: a file with its key; then no other key is trusted.
    python: the interpreter there, with numpy and the runtimes.
    cores: those to measure on (None: the fastest and idlest of all).
    """

    kind: Literal["ssh"]
    host: Annotated[ShortText, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    user: Annotated[ShortText, Field(min_length=1)] | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    python: Annotated[ShortText, Field(min_length=1)] = "python3"
    scratch_folder: _Folder = "/tmp"  # noqa: S108  (a folder of its own is made there)
    cores: _Cores | None = None
    runtimes: _Runtimes = ("onnxruntime",)

    @field_validator("host", "user")
    @classmethod
    def _no_option(cls, given: str | None) -> str | None:
        if given is not None and (given.startswith("-") or re.search(r"[\s@]", given)):
            raise ValueError(f"{given!r} is no name that ssh takes; give host and user each alone")
        return given


RUNNER_PLACES = ("runner", "network", "inputs", "outputs", "runs", "threads")


class Runner(Value):
    """A runtime's own program that runs a network on the device, and how to read it.

    version: the runtime's; the program itself does not tell it.
    binary: on this host; it is carried to the device.
    command: with the places `RUNNER_PLACES` in braces: paths of the program, the network, the
        inputs (joined by `separator`) and the outputs (a base name), the number of runs and
        of threads.
    outputs: the name of each output's file, with `{outputs}` and its `{place}`.
    pattern: finds the time in what the program prints, in a group named `s`, `ms`, `us` or `ns`.
    time_of: all runs together, or each of them.
    """

    runtime: RuntimeName
    version: Annotated[ShortText, Field(min_length=1)]
    binary: Path
    command: Text
    outputs: ShortText = "{outputs}-{place}.bin"
    separator: ShortText = ","
    pattern: Text
    time_of: Literal["all", "each"] = "all"

    @field_validator("binary")
    @classmethod
    def _there(cls, given: Path) -> Path:
        if not given.expanduser().is_file():
            raise ValueError(f"{given} is no file; build the runtime's runner for the device")
        return given.expanduser()

    @field_validator("command")
    @classmethod
    def _known_places(cls, given: str) -> str:
        return _with_places(given, RUNNER_PLACES, ("runner", "network", "inputs", "outputs"))

    @field_validator("outputs")
    @classmethod
    def _known_output_places(cls, given: str) -> str:
        return _with_places(given, ("outputs", "place"), ("outputs", "place"))

    @field_validator("pattern")
    @classmethod
    def _names_the_unit(cls, given: str) -> str:
        try:
            groups = re.compile(given).groupindex
        except re.error as error:
            raise ValueError(f"is no regular expression ({error}); correct it") from None
        if len(set(groups) & {"s", "ms", "us", "ns"}) != 1:
            raise ValueError(
                "has to name the time's unit; put the time in a group, as (?P<ms>[0-9.]+)"
            )
        return given


class AdbEntry(_Entry):
    """An Android device that `adb devices` lists, by its serial number.

    server_port: of another adb server than the usual one.
    cores: those that the runner is kept on (None: the system decides).
    runners: one for each runtime to measure in.
    """

    kind: Literal["adb"]
    serial: Annotated[ShortText, Field(min_length=1)]
    server_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    scratch_folder: _Folder = "/data/local/tmp"
    cores: _Cores | None = None
    runners: tuple[Runner, ...]

    @model_validator(mode="after")
    def _runners_differ(self) -> Self:
        runtimes = [runner.runtime for runner in self.runners]
        if not runtimes or len(set(runtimes)) < len(runtimes):
            raise ValueError(
                "runners has one runtime twice, or none; give each runtime to measure in one runner"
            )
        return self


class CudaEntry(_Entry):
    """A GPU of the worker's own host.

    gpu: its number, UUID or a MIG's, as `nvidia-smi -L` lists them.
    """

    kind: Literal["cuda"]
    gpu: Annotated[ShortText, Field(min_length=1)] = "0"
    runtimes: Annotated[tuple[Literal["torch_eager"], ...], Field(min_length=1)] = ("torch_eager",)


Entry: TypeAlias = LocalEntry | SshEntry | AdbEntry | CudaEntry
DeviceEntry = Annotated[Entry, Field(discriminator="kind")]


class DevicesFile(Value):
    """What a devices file holds."""

    devices: tuple[DeviceEntry, ...]

    @model_validator(mode="after")
    def _targets_differ(self) -> Self:
        names = [target for entry in self.devices for target in entry.targets]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"devices names the target {', '.join(repeated)} twice; each once")
        return self


def read_devices_file(path: Path) -> tuple[Entry, ...]:
    """The devices that the file describes.

    Raises: WorkerSettingsInvalid, naming the field, its value and the remedy.
    """
    try:
        text = path.expanduser().read_bytes()
    except OSError as error:
        raise WorkerSettingsInvalid(
            f"The devices file {path} cannot be read: {error.strerror}.",
            field="devices_file",
            remedy="Correct --devices.",
        ) from None
    try:
        return validate(DevicesFile, parse_yaml(text)).devices
    except DocumentUnreadable as error:
        told = str(error)
    except DocumentInvalid as error:
        told = " ".join(map(str, error.errors))
    raise WorkerSettingsInvalid(
        f"The devices file {path} is not valid: {told}", field="devices_file"
    )


def _with_places(given: str, known: tuple[str, ...], needed: tuple[str, ...]) -> str:
    try:
        places = [name for _, name, _, _ in Formatter().parse(given) if name is not None]
    except ValueError as error:
        raise ValueError(f"has unbalanced braces ({error}); double those that are meant") from None
    if unknown := sorted(set(places) - set(known)):
        raise ValueError(f"has no place {{{unknown[0]}}}; there are {', '.join(known)}")
    if missing := [name for name in needed if name not in places]:
        raise ValueError(f"lacks the place {{{missing[0]}}}; add it")
    return given
