"""`archfront fleet`: workers, devices, what waits for whom, and who may join."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli_output import JsonFlag

if TYPE_CHECKING:
    from service.schemas.fleet import DeviceView, FleetView, WaitingView
    from service.schemas.workers import WorkerView

_LINE = 100  # characters
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="Its name.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Workers, devices, and what waits for whom.", no_args_is_help=True)
    group.command("status")(status)
    group.command("pause")(pause)
    group.command("resume")(resume)
    token = typer.Typer(help="Tokens with which machines join the fleet.", no_args_is_help=True)
    token.command("create")(create_token)
    group.add_typer(token, name="token")
    app.add_typer(group, name="fleet", rich_help_panel="Fleet")


def status(*, as_json: JsonFlag = False) -> None:
    """Show workers by state, devices, and the stages that wait, with the reason."""
    from service.cli_output import print_json
    from service.client import Client

    with Client() as client:
        fleet = client.read_fleet()
    if as_json:
        print_json(fleet)
        return
    print(f"Fleet at {fleet.at:%Y-%m-%d %H:%M:%S} UTC")
    _print_workers(fleet.workers, fleet.at)
    _print_devices(fleet.devices, fleet.at)
    _print_waiting(fleet)


def pause(
    worker: WorkerArgument,
    *,
    note: Annotated[str, typer.Option(help="Why, for the others.")] = "",
    minutes: Annotated[
        float | None, typer.Option(help="Resume by itself after so long.", min=0.01)
    ] = None,
) -> None:
    """Give a worker nothing new; what it holds goes on."""
    from service.client import Client

    with Client() as client:
        held = client.pause_worker(worker, note, None if minutes is None else 60 * minutes).hold
    until = f"until {held.until:%Y-%m-%d %H:%M:%S} UTC" if held and held.until else "until resumed"
    print(f"{worker} is paused {until}.")


def resume(worker: WorkerArgument) -> None:
    """Give a paused or quarantined worker work again."""
    from service.client import Client

    with Client() as client:
        client.resume_worker(worker)
    print(f"{worker} is given work.")


def create_token(
    *,
    name: Annotated[str, typer.Option(help="The worker's name; it has to run under that.")],
    expires: Annotated[
        str, typer.Option(help="For so long it can be used: 30min, 1h, 2d.", metavar="TIME")
    ] = "1h",
    as_json: JsonFlag = False,
) -> None:
    """Make a token that lets one worker join, once. Its secret is printed alone on standard output.

    The worker trades it for a token of its own, which speaks for no other worker.
    """
    import sys

    from service.cli_output import print_json
    from service.client import Client

    with Client() as client:
        created = client.create_token(name, ("enroll",), _seconds(expires))
    if as_json:
        print_json(created)
        return
    print(created.secret)
    until = f"{created.expires_at:%Y-%m-%d %H:%M} UTC" if created.expires_at else "ever"
    told = f"{created.id}: lets the worker {name} join, once, until {until}; not shown again."
    print(told, file=sys.stderr)


def _seconds(text: str) -> float:
    """`90s`, `30min`, `1h`, `2d` in seconds. Raises: InvalidRequest."""
    from service.domain.errors import InvalidRequest

    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h|d)", text.strip())
    if found is None:
        raise InvalidRequest(
            f"{text!r} is no time.", field="expires", remedy="Write 90s, 30min, 1h or 2d."
        )
    return float(found[1]) * dict(_UNITS)[found[2]]


def _print_workers(workers: Sequence["WorkerView"], at: datetime) -> None:
    from service.cli_output import print_table

    states = Counter(worker.status for worker in workers)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    print(f"\nWorkers: {told or 'none'}")
    rows = [
        (
            worker.name,
            worker.hold.kind if worker.hold else worker.status,
            f"{worker.busy_slots}/{worker.slots}",
            worker.device,
            ", ".join(target.name for target in worker.targets) or "-",
            ", ".join(f"{space.name}@{space.version}" for space in worker.search_spaces) or "-",
            _age((at - worker.last_seen_at).total_seconds()),
        )
        for worker in workers
        if worker.status != "stopped"
    ]
    header = ("name", "state", "busy", "machine", "measures on", "spaces", "last heard of")
    print_table(header, rows, "No worker runs; `archfront worker` starts one.")
    for worker in workers:
        if worker.hold and worker.status != "stopped":
            until = f" until {worker.hold.until:%H:%M} UTC" if worker.hold.until else ""
            why = f": {worker.hold.note}" if worker.hold.note else ""
            print(f"! {worker.name} is {worker.hold.kind}{until}{why}")


def _print_devices(devices: Sequence["DeviceView"], at: datetime) -> None:
    from service.cli_output import print_table

    print(f"\nDevices: {len(devices) or 'none'}")
    rows = [
        (
            device.name,
            ", ".join(device.targets),
            f"{device.profile.processor}, {device.profile.cores} cores",
            _calibrated(device, at),
            _use(device),
        )
        for device in devices
    ]
    if rows:
        print_table(("name", "targets", "processor", "calibrated", "in use"), rows, "")
    for device in devices:
        for one in device.calibrations:
            if one.alarm:
                print(f"! {device.name} {one.alarm}")
    _print_runtimes(devices)
    _print_optional_metrics(devices)


def _print_runtimes(devices: Sequence["DeviceView"]) -> None:
    """Each set of runtimes once, with the devices that have it: most of a fleet has the same."""
    having: dict[str, list[str]] = {}
    for device in devices:
        told = ", ".join(f"{name} {_release(of)}" for name, of in sorted(device.runtimes.items()))
        having.setdefault(told or "no runtime", []).append(device.name)
    for told, names in having.items():
        where = "everywhere" if len(having) == 1 else f"on {', '.join(names)}"
        print(textwrap.fill(f"{where}: {told}", _LINE, subsequent_indent="  "))


def _print_optional_metrics(devices: Sequence["DeviceView"]) -> None:
    for device in devices:
        if device.metrics:
            print(f"on {device.name} if asked for: {', '.join(sorted(device.metrics))}")


def _release(version: str) -> str:
    """`2026.4` of `2026.4.1-19823-abc+f00d`: the whole is in `--json`."""
    found = re.match(r"\d+(\.\d+)?", version)
    return found[0] if found else version


def _calibrated(device: "DeviceView", at: datetime) -> str:
    """`0.41 ms 3 h ago`: what the reference network took, and when."""
    if not device.calibrations:
        return "never"
    newest = device.calibrations[0].calibration
    age = _age((at - newest.calibrated_at).total_seconds())
    return f"{newest.latency_ms:.3g} ms {age} ago"


def _use(device: "DeviceView") -> str:
    use = device.in_use
    return f"{use.experiment} #{use.trial_number}" if use else "free"


def _print_waiting(fleet: "FleetView") -> None:
    from service.cli_output import print_table

    waiting = fleet.waiting
    ages = [stages.oldest_wait_s for stages in waiting if stages.oldest_wait_s is not None]
    oldest = f"; the oldest stage for {_age(max(ages))}" if ages else ""
    print(f"\nWaiting: {sum(map(_count, waiting)) or 'nothing'}{oldest}")
    rows = [
        (
            stages.experiment,
            stages.stage,
            str(stages.begun),
            str(stages.candidates),
            "-" if stages.oldest_wait_s is None else _age(stages.oldest_wait_s),
        )
        for stages in waiting
    ]
    if rows:
        print_table(("experiment", "stage", "begun", "candidates", "oldest"), rows, "")
    for stages in waiting:
        if stages.unmet:
            print(f"! {stages.experiment}, {stages.stage}: {stages.unmet}")


def _count(stages: "WaitingView") -> int:
    return stages.begun + stages.candidates


def _age(seconds: float) -> str:
    """`3 s`, `12 min`, `5 h`, `2 d`: as exact as one cares."""
    for unit, size in _UNITS[:-1]:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
