"""A stage process without torch, for tests of the worker around it: `ORDER.json WORKER_PID`.

Watched over as a real one is; it trains nothing but gives points, holds memory and writes files as
told, leaves its state (the number of its step) every half second or when asked, obeys a stop, and
ends well.
"""

import json
import sys
import time
import types
from pathlib import Path

from workers.run_stage import main

HELD = []


def run_order(path: Path) -> None:
    """Gives `steps` points, one every `step_s`, then a result with a file and what it was given."""
    order = json.loads(path.read_text())
    folder, arm = Path(order["work_folder"]), order["grant"]["arm"]["parameters"]
    print("quick stage", flush=True)
    HELD.append(b"x" * int(arm.get("held_mib", 0) * 2**20))
    (folder / "scratch" / "written").write_bytes(b"x" * int(arm.get("written_mib", 0) * 2**20))
    stopped, done, kept_s = False, 0, time.monotonic()
    earlier = folder / "earlier.safetensors"
    if earlier.exists():
        done = int(earlier.read_bytes())
        (folder / "resumed").write_text(str(done))
    step = done
    for step in range(done + 1, arm["steps"] + 1):
        with (folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps({"step": step, "metrics": {"error": 1.0 / step}}) + "\n")
        if (folder / "keep").exists() or time.monotonic() - kept_s > 0.5:
            (folder / "keep").unlink(missing_ok=True)
            kept_s = time.monotonic()
            (folder / "checkpoints" / "new").write_text(str(step))
            (folder / "checkpoints" / "new").rename(folder / "checkpoints" / f"{step}.safetensors")
        stopped = (folder / "stop").exists()
        if stopped:
            break
        time.sleep(arm["step_s"])
    weights = folder / "outputs" / "network.safetensors"
    weights.write_bytes(order["grant"]["lease_id"].encode())
    files = [weights, *(folder / "inputs").iterdir()]
    result = {
        "ended": "completed",
        "measurements": {"error": {"mean": 1.0 / step, "protocol": {"steps": step}}},
        "files": [{"name": path.name, "path": str(path)} for path in files],
        "early_stopped": stopped,
    }
    (folder / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    stage = types.ModuleType("workers.stage")
    stage.run_order = run_order
    sys.modules["workers.stage"] = stage
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
