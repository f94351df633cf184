"""A stage process without torch, for tests of the worker around it: `ORDER.json WORKER_PID`.

Watched over as a real one is; it trains nothing but gives points, obeys a stop, and ends well.
"""

import json
import sys
import time
import types
from pathlib import Path

from workers.run_stage import main


def run_order(path: Path) -> None:
    """Gives `steps` points, one every `step_s`, then a result with one file."""
    order = json.loads(path.read_text())
    folder, arm = Path(order["work_folder"]), order["grant"]["arm"]["parameters"]
    print("quick stage", flush=True)
    stopped, step = False, 0
    for step in range(1, arm["steps"] + 1):
        with (folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps({"step": step, "metrics": {"error": 1.0 / step}}) + "\n")
        stopped = (folder / "stop").exists()
        if stopped:
            break
        time.sleep(arm["step_s"])
    weights = folder / "outputs" / "network.safetensors"
    weights.write_bytes(order["grant"]["lease_id"].encode())
    result = {
        "ended": "completed",
        "measurements": {"error": {"mean": 1.0 / step, "protocol": {"steps": step}}},
        "files": [{"name": weights.name, "path": str(weights)}],
        "early_stopped": stopped,
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    stage = types.ModuleType("workers.stage")
    stage.run_order = run_order
    sys.modules["workers.stage"] = stage
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
