"""`archfront demo`: one real search on this machine, from an empty folder to the front."""

import fcntl
import shutil
import signal
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import IO

from service.child_processes import ChildProcess
from service.cli_experiments import follow
from service.cli_trials import print_front
from service.client import Client
from service.domain.errors import ArchfrontError, ExperimentNotFound
from service.domain.experiment import Budget, Experiment, ExperimentSpec, ExperimentStatus
from service.domain.number_format import format_number
from service.schemas.validation import validate
from service.schemas.yaml_text import parse_yaml

_MARK = ".archfront-demo"
_READY_WITHIN_S = 90.0


class DemoFolderUnusable(ArchfrontError):
    """The demo's folder cannot be used."""


def run(
    folder: Path,
    *,
    fresh: bool = False,
    workers: int = 2,
    trials: int | None = None,
    seed: int | None = None,
) -> None:
    """Searches until the budget is spent, then prints the front and answers a pick.

    folder: keeps the server's data, the workers' and the logs; a later run goes on from there.
    fresh: throw away what an earlier run left and start anew.
    trials, seed: others than the experiment's own; a third of the trials is quasi-random.
    Nothing is left running, however it ends.
    Raises: DemoFolderUnusable.
    """
    with _held(folder, fresh=fresh), _fleet(folder, workers) as client:
        experiment = _experiment(client, trials, seed)
        print(f"While it runs, in another terminal: archfront trials {experiment.spec.name}")
        try:
            follow(client, experiment.id)
        except KeyboardInterrupt:
            print("\nBroken off; the same command goes on from here.")
            raise
        _tell(client, experiment, folder)


@contextmanager
def _held(folder: Path, *, fresh: bool) -> Iterator[None]:
    """The folder, made if absent, and held against a second demo in it."""
    mark = folder / _MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise DemoFolderUnusable(
            f"{folder} holds other things than a demo.",
            field="folder",
            remedy="Name a new folder with --folder.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as held:
        _lock(held, folder)
        if fresh:
            for entry in folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry != mark:
                    entry.unlink()
        yield


def _lock(held: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DemoFolderUnusable(
            f"Another demo runs in {folder}.",
            field="folder",
            remedy="End that one with Ctrl-C, or name another folder with --folder.",
        ) from None


@contextmanager
def _fleet(folder: Path, workers: int) -> Iterator[Client]:
    """A server and workers in processes of their own, all ended when left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    data = folder.absolute() / "server"
    url = f"http://127.0.0.1:{_free_port()}"
    serving = ["serve", "--data", str(data), "--port", url.rpartition(":")[2], "--with-parent"]
    server = _child("server", serving, {}, logs)
    started: list[ChildProcess] = []
    server.start()
    try:
        with _connected(url, data / "token", logs / "server.log") as client:
            for index in range(workers):
                name = f"demo-{index}"
                working = ["worker", "--name", name, "--data", str(folder.absolute() / "workers")]
                access = {"ARCHFRONT_URL": url, "ARCHFRONT_TOKEN": (data / "token").read_text()}
                started.append(_child(name, [*working, "--with-parent"], access, logs))
                started[-1].start()
            yield client
    finally:
        # A second Ctrl-C must not leave half of them running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for worker in started:
            worker.request_stop(signal.SIGINT)  # breaks off what still runs
        for worker in started:
            worker.wait()
        server.request_stop()
        server.wait()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _child(
    name: str, arguments: list[str], environment: dict[str, str], logs: Path
) -> ChildProcess:
    command = [sys.executable, "-m", "service.cli", *arguments]
    return ChildProcess(name, command, environment, log=logs / f"{name}.log")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connected(url: str, token_file: Path, log: Path) -> Client:
    """A client of the server once it answers. Raises: ArchfrontError with the end of its log."""
    end_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < end_s:
        if token_file.exists():
            client = Client(url, token_file.read_text(encoding="ascii").strip())
            if client.is_ready():
                return client
            client.close()
        time.sleep(0.2)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise ArchfrontError(
        f"The demo's server did not answer within {_READY_WITHIN_S:.0f} s: {' '.join(last)}",
        remedy=f"See {log}.",
    )


def _experiment(client: Client, trials: int | None, seed: int | None) -> Experiment:
    """The demo's experiment: an earlier run's, if there is one, else a new one."""
    spec = _spec()
    if seed is not None:
        spec = spec.model_copy(update={"seed": seed})
    try:
        view = client.read_experiment(spec.name)
    except ExperimentNotFound:
        if trials is not None:
            # the same share of them quasi-random
            initial = min(trials, max(4, trials // 3))
            optimizer = spec.optimizer.model_copy(update={"initial_trials": initial})
            budget = Budget(trials=trials)
            spec = spec.model_copy(update={"budget": budget, "optimizer": optimizer})
        created = client.create_experiment(spec)
        print(f"{spec.name}: {created.budget_trials} trials over {_parameter_count(created)}.")
        return created
    found = view.experiment
    print(f"{spec.name}: going on where the last run ended (make demo FRESH=1 starts anew).")
    if trials is not None and trials > found.budget_trials:
        found = client.raise_budget(found.id, trials).experiment
    if found.status is ExperimentStatus.PAUSED:
        found = client.resume(found.id).experiment
    return found


def _spec() -> ExperimentSpec:
    text = files("service").joinpath("demo_experiment.yaml").read_bytes()
    return validate(ExperimentSpec, parse_yaml(text))


def _parameter_count(experiment: Experiment) -> str:
    return f"{len(experiment.space.parameters)} parameters of {experiment.spec.search_space}"


def _tell(client: Client, experiment: Experiment, folder: Path) -> None:
    """Prints the front and how it grew, writes page and picture, answers a pick."""
    front = client.front(experiment.id)
    print()
    print_front(front)
    points = client.hypervolume(experiment.id).points
    if points:
        first_third = points[max(0, len(points) // 3 - 1)]
        print(
            f"\nHypervolume: {format_number(first_third.hypervolume)} after the first "
            f"{first_third.completed} completed trials, {format_number(points[-1].hypervolume)} "
            f"after all {points[-1].completed}."
        )
    page, picture = folder / "front.html", folder / "front.png"
    page.write_text(client.front_page(experiment.id), encoding="utf-8")
    picture.write_bytes(client.front_picture(experiment.id, "png"))
    print(f"The front: {page} (interactive), {picture}")
    if front.front:
        metric = front.objectives[-1].metric
        middle = statistics.median(point.measurements[metric].mean for point in front.front)
        budget = float(f"{middle:.2g}")
        option = metric.replace("_", "-")
        print(f"\narchfront pick {experiment.spec.name} --{option} {budget:g}")
        print(client.pick(experiment.id, **{metric: budget}).explanation)
