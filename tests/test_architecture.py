"""The arrows between the packages, and what each kind of process must not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

HEAVY = {"torch", "ax", "botorch", "ray", "submitit"}
HEAVY |= {"ai_edge_litert", "executorch", "onnxruntime", "openvino"}  # runtimes
SERVER_ONLY = {"fastapi", "starlette", "sqlalchemy", "alembic", "plotly", "matplotlib"}


def imported_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after `statement`."""
    loaded = "json.dumps([name for name in sys.modules if '.' not in name])"
    code = f"{statement}; import json, sys; print({loaded})"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


def test_arrows_point_one_way() -> None:
    # In a process of its own: it silences every logger of the one that it runs in.
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("process", "statement", "refused"),
    [
        ("API", "import service.api.app", HEAVY | {"plotly", "matplotlib"}),
        ("worker", "import workers.daemon, workers.cli", HEAVY | SERVER_ONLY),
        ("command line", "import service.cli", HEAVY | SERVER_ONLY | {"numpy", "scipy"}),
        ("suggester", "import service.background.suggester", HEAVY | {"fastapi", "plotly"}),
        ("SDK", "import service.client", HEAVY | SERVER_ONLY | {"numpy", "scipy"}),
        ("search-space list", "import search_spaces.builtin as b; list(b.builtin_spaces())", HEAVY),
    ],
)
def test_processes_stay_light(process: str, statement: str, refused: set[str]) -> None:
    assert not imported_by(statement) & refused, process


def test_no_migrations_package_shadows_alembic() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
