"""Vizier's side of the pipe; runs in Vizier's environment and imports nothing of ours.

Line by line in JSON: the problem, then ask and tell in turns. Every reply carries the CPU
seconds of this process so far, imports left out.
"""

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

import jax  # type: ignore[import-not-found]
from vizier import algorithms as vza  # type: ignore[import-not-found]
from vizier import pyvizier as vz
from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit  # type: ignore[import-not-found]


def main(parent_pid: int) -> None:
    """Serves until the pipe closes; dies with the process that started it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent_pid:
        return
    replies = sys.stdout
    sys.stdout = sys.stderr  # whatever the libraries print is no reply
    designer: Any = None
    trial: Any = None
    number = 0
    imports_s = time.process_time()
    for line in sys.stdin:
        message = json.loads(line)
        reply: dict[str, Any] = {}
        if "parameters" in message:
            designer = VizierGPUCBPEBandit(
                problem_statement(message), rng=jax.random.PRNGKey(message["seed"])
            )
        elif "ask" in message:
            number += 1
            trial = designer.suggest(1)[0].to_trial(number)
            reply["parameters"] = trial.parameters.as_dict()
        else:
            trial.complete(vz.Measurement(message["tell"]))
            designer.update(vza.CompletedTrials([trial]), vza.ActiveTrials([]))
        reply["cpu_s"] = time.process_time() - imports_s
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def problem_statement(message: dict[str, Any]) -> vz.ProblemStatement:
    """The search space and the objectives in Vizier's terms."""
    problem = vz.ProblemStatement()
    root = problem.search_space.root
    for parameter in message["parameters"]:
        name, kind = parameter["name"], parameter["kind"]
        scale = vz.ScaleType.LOG if parameter.get("log") else vz.ScaleType.LINEAR
        if kind == "categorical":
            root.add_categorical_param(name, parameter["values"])
        elif kind == "int":
            root.add_int_param(name, parameter["low"], parameter["high"], scale_type=scale)
        else:
            root.add_float_param(name, parameter["low"], parameter["high"], scale_type=scale)
    for metric in message["metrics"]:
        goal = getattr(vz.ObjectiveMetricGoal, metric["goal"].upper())
        problem.metric_information.append(vz.MetricInformation(metric["name"], goal=goal))
    return problem


if __name__ == "__main__":
    main(int(sys.argv[1]))
