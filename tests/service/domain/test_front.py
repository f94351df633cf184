import subprocess
import sys

from service.domain.pick import pick_trial
from service.schemas.fronts import Front, HypervolumeTrace, Pick
from tests.service.made_trials import make_front, make_search


def test_fronts_survive_the_wire():
    front, trace = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    pick = pick_trial(*make_search(), {"latency_ms": 5})
    assert Front.model_validate_json(front.model_dump_json()) == front
    assert HypervolumeTrace.model_validate_json(trace.model_dump_json()) == trace
    assert Pick.model_validate_json(pick.model_dump_json()) == pick


def test_who_only_reads_fronts_needs_no_numerics():
    code = (
        "import sys, service.schemas.fronts;"
        "sys.exit(', '.join({'numpy', 'moocore', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
