"""Stands in for a runtime's own runner: takes the options of ExecuTorch's, runs an ONNX network."""

import sys
import time

import numpy as np
import onnxruntime

given = dict(option.removeprefix("--").split("=", 1) for option in sys.argv[1:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(given["cpu_threads"])
try:
    session = onnxruntime.InferenceSession(given["model_path"], options)
except Exception as error:  # noqa: BLE001  (whatever it says)
    print(f"cannot load the program: {error}", file=sys.stderr)
    sys.exit(1)
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
feeds = {
    one.name: np.fromfile(path, TYPES[one.type]).reshape(one.shape)
    for one, path in zip(session.get_inputs(), given["inputs"].split(","), strict=True)
}
runs = int(given["num_executions"])
start = time.perf_counter()
for _ in range(runs):
    answers = session.run(None, feeds)
took_ms = 1e3 * (time.perf_counter() - start)
for place, answer in enumerate(answers):
    answer.tofile(f"{given['output_file']}-{place}.bin")
print(f"Model executed successfully {runs} time(s) in {took_ms:f} ms.")
