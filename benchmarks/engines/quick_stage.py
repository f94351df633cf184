"""A stage of made-up results that lasts a given time: `ORDER.json WORKER_PID`, without torch.

Its process is a real stage's in all else: watched over, killed as a group, with curve and files.
"""

import json
import os
import random
import sys
import time
import types
from pathlib import Path

from workers.run_stage import main

_POINTS = 10
_DURATION_S = {"train": (0.5, 1.0), "measure": (0.02, 0.05)}


def run_order(path: Path) -> None:
    """Gives ten points, then a value between 0 and 1 for each metric that is asked for."""
    order = json.loads(path.read_text())
    folder, grant = Path(order["work_folder"]), order["grant"]
    made = random.Random(f"{grant['seed']} {grant['stage']}")
    pause_s = made.uniform(*_DURATION_S[grant["stage_kind"]]) / _POINTS
    print(f"{grant['stage']} on {os.environ.get('BENCH_NODE', 'this host')}", flush=True)
    for step in range(1, _POINTS + 1):
        time.sleep(pause_s)
        point = {"step": step, "metrics": dict.fromkeys(grant["metrics"], 1.0 / step)}
        with (folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(point) + "\n")
    weights = folder / "outputs" / "network.safetensors"
    weights.write_bytes(grant["lease_id"].encode())
    result = {
        "ended": "completed",
        "measurements": {name: {"mean": made.random()} for name in grant["metrics"]},
        "files": [{"name": weights.name, "path": str(weights)}],
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    stage = types.ModuleType("workers.stage")
    stage.__dict__["run_order"] = run_order
    sys.modules["workers.stage"] = stage
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
