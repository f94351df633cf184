"""One run: trials train on two Ray nodes, one of which is killed at a random moment."""

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.asynchrony.served import Served, served
from benchmarks.engines.local_ray import LocalRay
from search_spaces.registry import installed_registry
from service.client import Client
from service.domain.trial import TrialStatus
from service.storage.artifacts import ArtifactStore
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import RECORDED_OUTCOMES, attempts, stages
from workers.contact import ServerContact
from workers.daemon import Daemon
from workers.engines.engine import Engine
from workers.engines.local import LocalEngine
from workers.engines.ray import RayEngine
from workers.name_lock import take_name
from workers.settings import WorkerSettings, read_worker_settings
from workers.watchdog import Watchdog

QUICK_STAGE = (str(Path(__file__).with_name("quick_stage.py")),)
ROOT = Path(__file__).parents[2]

_START_LIMIT_S = 120.0
_SEARCH_LIMIT_S = 600.0


@dataclass(frozen=True)
class NodeDeathRun:
    """What came of one search.

    killed_after: so many trials were complete. running_then: trainings on the node killed.
    started_anew: trainings that Ray started again, under the lease they had.
    leased_anew: trainings that took more than one lease.
    lost: trials that are not complete. recorded: trainings by how many results each has.
    broken: invariants of the database that do not hold.
    search_s: from the first trial's creation to the last one's end, the kill included.
    """

    trials: int
    seed: int
    killed_after: int
    killed_processes: int
    running_then: int
    started_anew: int
    leased_anew: int
    lost: int
    recorded_once: int
    recorded_twice: int
    broken: int
    search_s: float


def run(trials: int, seed: int, cpus: int = 1) -> NodeDeathRun:
    """A search on a cluster of two nodes that is started for it.

    cpus: of each node, hence trainings at a time on it.
    Raises: TimeoutError if something does not come to its end.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ray-") as folder,
        LocalRay(Path(folder) / "r", {"PYTHONPATH": str(ROOT)}) as cluster,
    ):
        for _ in range(2):
            cluster.start_node(cpus)
        until(lambda: all(map(cluster.is_ready, (1, 2))), _START_LIMIT_S)
        return search(cluster, trials, seed, cpus)


def search(
    cluster: LocalRay, trials: int, seed: int, cpus: int, *, at_a_start: bool = False
) -> NodeDeathRun:
    """A server, a Ray worker and a measuring worker; node 2 is killed, and another one started.

    at_a_start: the node is killed when its first training has just begun, not at a random moment:
        of one that is about to end nobody can say whether Ray has to start it anew.
    Raises: TimeoutError.
    """
    with tempfile.TemporaryDirectory(prefix="node-death-") as name:
        folder = Path(name)
        common = {"data_folder": folder / "workers", "cache_folder": folder / "cache"}
        on_ray = read_worker_settings(
            name="on-ray", engine="ray", address=cluster.address, claim_wait_s=1.0, **common
        )
        here = read_worker_settings(name="here", stages=("measure",), claim_wait_s=1.0, **common)
        with (
            served("sqlite", folder) as server,
            closing(RayEngine(on_ray, QUICK_STAGE)) as engine,
            closing(Client(f"http://{server.host}:{server.port}", server.token)) as client,
        ):
            until(lambda: len(engine.nodes()) == 2, _START_LIMIT_S)
            with (
                working(server, on_ray, engine),
                working(server, here, LocalEngine(here, QUICK_STAGE)),
            ):
                return _search(
                    client,
                    cluster,
                    folder,
                    trials=trials,
                    seed=seed,
                    cpus=cpus,
                    at_a_start=at_a_start,
                )


def _search(
    client: Client,
    cluster: LocalRay,
    folder: Path,
    *,
    trials: int,
    seed: int,
    cpus: int,
    at_a_start: bool,
) -> NodeDeathRun:
    moment = random.Random(seed)
    began_s = time.monotonic()
    experiment = client.create_experiment(_experiment(trials, 4 * cpus)).id
    completed = _completed(client, experiment)
    wanted = moment.randint(1, max(1, trials * 3 // 4))
    if not at_a_start:
        until(lambda: completed() >= wanted, _SEARCH_LIMIT_S)
        time.sleep(moment.uniform(0.0, 1.0))
    # Ray fills one machine before the other: a node without a training has none to lose.
    until(lambda: cluster.count(2, QUICK_STAGE[0]) > 0, _SEARCH_LIMIT_S)
    killed_after, running_then = completed(), cluster.count(2, QUICK_STAGE[0])
    killed = cluster.kill_node(2)
    cluster.start_node(cpus)
    until(lambda: completed() == trials, _SEARCH_LIMIT_S)
    search_s = time.monotonic() - began_s
    numbers = [trial.number for trial in client.list_trials(experiment)]
    logs = [client.read_trial_log(experiment, number, stage="train") for number in numbers]
    results, leases, broken = _recorded(folder, experiment)
    return NodeDeathRun(
        trials=trials,
        seed=seed,
        killed_after=killed_after,
        killed_processes=killed,
        running_then=running_then,
        started_anew=sum("Ray started the stage anew" in log for log in logs),
        leased_anew=sum(count > 1 for count in leases.values()),
        lost=trials - len(set(numbers)),
        recorded_once=sum(count == 1 for count in results.values()),
        recorded_twice=sum(count > 1 for count in results.values()),
        broken=len(broken),
        search_s=round(search_s, 1),
    )


def _experiment(trials: int, max_parallel: int) -> dict[str, object]:
    return {
        "name": "node-death",
        "search_space": "nlu_encoder",
        "objectives": [
            {"metric": "frame_error", "goal": "minimize"},
            {"metric": "latency_ms", "goal": "minimize"},
        ],
        "optimizer": {"strategy": "sobol"},
        "budget": trials,
        "max_parallel": max_parallel,
    }


def _completed(client: Client, experiment: str) -> Callable[[], int]:
    return lambda: client.read_experiment(experiment).trial_counts[TrialStatus.COMPLETED]


def _recorded(folder: Path, experiment: str) -> tuple[Counter[str], Counter[str], list[str]]:
    """Results and leases of each training, and the invariants broken, from the database itself."""
    database = Database(f"sqlite:///{folder / 'bench.db'}")
    try:
        with database.read() as connection:
            query = (
                select(stages.c.id, attempts.c.outcome, func.count())
                .join(attempts, attempts.c.stage_id == stages.c.id)
                .where(stages.c.experiment_id == experiment, stages.c.kind == "train")
                .group_by(stages.c.id, attempts.c.outcome)
            )
            results: Counter[str] = Counter()
            leases: Counter[str] = Counter()
            for stage_id, outcome, count in connection.execute(query):
                leases[stage_id] += count
                results[stage_id] += count if outcome in RECORDED_OUTCOMES else 0
            store = ArtifactStore(str(folder / "data" / "artifacts"))
            return results, leases, check_invariants(connection, store)
    finally:
        database.dispose()


@contextmanager
def working(server: Served, settings: WorkerSettings, engine: Engine) -> Iterator[None]:
    """A worker's daemon in a thread; leaving ends it, and hands back what it holds."""
    name = take_name(settings.data_folder, settings.name)
    contact = ServerContact(name.name, Watchdog(None))
    url = f"http://{server.host}:{server.port}"
    with closing(name), closing(Client(url, server.token, tries=1)) as client:
        daemon = Daemon(client, settings, installed_registry(), name, contact, engine=engine)
        thread = threading.Thread(target=daemon.run, name=f"worker-{name.name}")
        thread.start()
        try:
            yield
        finally:
            daemon.end()
            thread.join()


def until(condition: Callable[[], object], limit_s: float) -> None:
    """Returns once the condition holds. Raises: TimeoutError."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        with suppress(ConnectionError):
            if condition():
                return
        time.sleep(0.1)
    raise TimeoutError(f"it did not come true within {limit_s:g} s")
