import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.engines.local_ray import LocalRay
from tests.conftest import FreshDatabases
from tests.workers.conftest import STRANGER_PACKAGE
from tests.workers.waiting import eventually
from workers.engines.ray import RayEngine
from workers.settings import read_worker_settings

QUICK = (str(Path(__file__).parents[1] / "quick_stage.py"),)
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """submitit ends its local jobs by SIGINT, which a shell lets background processes ignore.

    A worker handles it, and so do the jobs of one; tests have to see to that themselves.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="package")
def ray_cluster(fresh_databases: FreshDatabases) -> Iterator[LocalRay]:
    """Two nodes, of one core and of two; the second carries a label and a resource.

    Their environment names a PostgreSQL database, for suggesters.
    """
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        environment = {
            "PYTHONPATH": f"{ROOT}:{STRANGER_PACKAGE}",
            "ARCHFRONT_TOKEN": "secret-of-the-node",
            "ARCHFRONT_DATABASE_URL": fresh_databases.postgresql_url(),
        }
        with LocalRay(Path(folder) / "r", environment) as cluster:
            cluster.start_node(1)
            cluster.start_node(2, "--labels=gpu=h100", '--resources={"licences": 2}')
            assert eventually(lambda: all(map(cluster.is_ready, (1, 2))), 90)
            yield cluster


@pytest.fixture(scope="module")
def ray_engine(
    ray_cluster: LocalRay, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RayEngine]:
    """An engine that runs quick stages there."""
    settings = read_worker_settings(
        engine="ray",
        address=ray_cluster.address,
        cache_folder=tmp_path_factory.mktemp("cache"),
        log_limit_bytes=1_000_000,
    )
    engine = RayEngine(settings, QUICK)
    assert eventually(lambda: len(engine.nodes()) == 2, 60)
    yield engine
    engine.close()
