"""Vizier's default algorithm, in a process and an environment of its own.

`python -m benchmarks.optimizer install-vizier` makes that environment: Vizier needs a JAX of
2024, which must not meet ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.optimizer.problems.problem import Problem
from search_spaces.arm import Arm
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    FixedParameter,
    Parameter,
    ParameterValue,
)
from service.domain.measurement import Measurement

_HERE = Path(__file__).parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
ENVIRONMENT: Final = _CACHE / "archfront" / "bench" / "vizier"
_PYTHON = ENVIRONMENT / "bin" / "python"
_SETTINGS = {
    "JAX_ENABLE_X64": "1",  # as Vizier's own service sets it
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class PeerUnavailable(RuntimeError):
    """The peer cannot run here, or cannot take this problem."""


class VizierPeer:
    """The designer behind `algorithm: DEFAULT` (GP-UCB-PE), asked and told over a pipe.

    It takes neither thresholds nor sems, and no outcome constraints.
    """

    version = "google-vizier 0.1.24 (DEFAULT)"

    def __init__(self, problem: Problem, seed: int) -> None:
        """Raises: PeerUnavailable without the environment, or under outcome constraints."""
        if problem.outcome_constraints:
            raise PeerUnavailable(f"Vizier's default takes no outcome constraints: {problem.name}")
        if not _PYTHON.exists():
            raise PeerUnavailable(
                f"no environment in {ENVIRONMENT}; run: python -m benchmarks.optimizer "
                "install-vizier"
            )
        self._problem = problem
        self.cpu_s = 0.0
        self._process = subprocess.Popen(
            # -P: or this module would stand in for the package of its name
            [
                str(_PYTHON),
                "-P",
                "-W",
                "ignore",
                str(_HERE / "vizier_process.py"),
                str(os.getpid()),
            ],
            env=os.environ | _SETTINGS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        searched = [p for p in problem.space.parameters if not isinstance(p, FixedParameter)]
        self._exchange(
            {
                "seed": seed,
                "parameters": [_described(parameter) for parameter in searched],
                "metrics": [{"name": o.metric, "goal": o.goal} for o in problem.objectives],
            }
        )

    def ask(self) -> Arm:
        """The designer's next suggestion."""
        chosen = self._exchange({"ask": True})["parameters"]
        return self._problem.space.canonical(
            {p.name: _value(p, chosen.get(p.name)) for p in self._problem.space.parameters}
        )

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:  # noqa: ARG002
        """Completes the suggestion with the objectives' means."""
        self._exchange(
            {"tell": {o.metric: measured[o.metric].mean for o in self._problem.objectives}}
        )

    def close(self) -> None:
        """Ends Vizier's process; it also ends with this one."""
        self._process.terminate()
        self._process.communicate()

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise PeerUnavailable("Vizier's process has no pipes")
        try:
            pipes[0].write(json.dumps(message) + "\n")
            pipes[0].flush()
        except BrokenPipeError as error:
            raise PeerUnavailable(f"Vizier's process ended: {self._process.wait()}") from error
        line = pipes[1].readline()
        if not line:
            raise PeerUnavailable(f"Vizier's process ended: {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        self.cpu_s = float(reply["cpu_s"])
        return reply


def install(environment: Path = ENVIRONMENT) -> None:
    """Makes Vizier's environment anew from vizier_requirements.txt.

    Raises: CalledProcessError where pip cannot.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    requirements = str(_HERE / "vizier_requirements.txt")
    subprocess.run(
        [str(environment / "bin" / "pip"), "install", "--quiet", "-r", requirements],
        env={name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"},
        check=True,
    )


def _described(parameter: Parameter) -> dict[str, Any]:
    if parameter.when is not None:
        raise ValueError(f"{parameter.name} is conditional; the peers' problems are flat")
    described: dict[str, Any] = {"name": parameter.name}
    if isinstance(parameter, BoolParameter):
        return described | {"kind": "categorical", "values": ["false", "true"]}
    if isinstance(parameter, ChoiceParameter) and not parameter.is_ordered:
        positions = [str(number) for number in range(len(parameter.values))]
        return described | {"kind": "categorical", "values": positions}
    if isinstance(parameter, ChoiceParameter):
        return described | {"kind": "int", "low": 0, "high": len(parameter.values) - 1}
    if isinstance(parameter, FixedParameter):
        raise TypeError(f"{parameter.name} is fixed; it is not searched")
    if parameter.step is not None and (parameter.type == "float" or parameter.step != 1):
        levels = round((parameter.high - parameter.low) / parameter.step)
        return described | {"kind": "int", "low": 0, "high": levels}
    scale = {"low": parameter.low, "high": parameter.high, "log": parameter.scale == "log"}
    return described | {"kind": parameter.type} | scale


def _value(parameter: Parameter, chosen: Any) -> ParameterValue:
    if isinstance(parameter, FixedParameter):
        return parameter.value
    if isinstance(parameter, BoolParameter):
        return bool(chosen == "true")
    if isinstance(parameter, ChoiceParameter):
        return parameter.values[int(chosen)]
    if parameter.step is not None and (parameter.type == "float" or parameter.step != 1):
        number = parameter.low + int(chosen) * parameter.step
    else:
        number = min(max(float(chosen), parameter.low), parameter.high)
    return float(number) if parameter.type == "float" else round(number)
