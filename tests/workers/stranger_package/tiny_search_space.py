"""A search space small enough to train in a second, whose arms can be told to misbehave."""
# ruff: noqa: PLC0415  (importing it imports no torch)

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ChoiceParameter, FloatParameter, IntParameter
from search_spaces.recipe import ArmInfeasible, CurvePoint, Estimate, TrainedNetwork
from search_spaces.registry import InstalledSpace
from search_spaces.space import Citation, SearchSpace

BEHAVIOURS = (
    "train",
    "raise",
    "exit",
    "diverge",
    "refuse",
    "non_finite",
    "other_metric",
    "missing_module",
    "memory_error",
    "kill",
    "segfault",
    "leave_child",
)

SEARCH_SPACE = SearchSpace(
    name="tiny",
    version=1,
    title="Tiny",
    description="Fits a sine with one hidden layer.",
    citation=Citation(title="None", authors="Nobody", year=2026),
    space=ParameterSpace(
        parameters=(
            IntParameter(name="width", low=1, high=64),
            IntParameter(name="steps", low=1, high=100_000),
            FloatParameter(name="step_s", low=0.0, high=60.0),
            ChoiceParameter(name="behaviour", values=BEHAVIOURS),
        )
    ),
    metrics=(MetricDefinition(name="error", unit="1", stage="train"),),
    baseline=Arm(parameters={"width": 8, "steps": 5, "step_s": 0.0, "behaviour": "train"}),
)


class TinyRecipe:
    """Fits a sine; see `BEHAVIOURS` for what else it does."""

    def build(self, arm):
        import torch

        width = arm.parameters["width"]
        return torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)
        ).eval()

    def example_inputs(self, arm, count, context):
        import torch

        generator = torch.Generator().manual_seed(context.seed)
        return [(torch.randn(1, 4, generator=generator),) for _ in range(count)]

    def train(self, arm, context):
        import torch

        print(f"training {arm.parameters}")
        self._misbehave(arm, context)
        network = self.build(arm).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        inputs = torch.randn(64, 4)
        steps = min(arm.parameters["steps"], context.max_steps or arm.parameters["steps"])
        done, error = 0, float("nan")
        with context.checkpoints.restoring() as state:
            if state is not None:
                network.load_state_dict(state["network"])
                optimizer.load_state_dict(state["optimizer"])
                done, error, inputs = state["done"], state["error"], state["inputs"]
        for step in range(done + 1, steps + 1):
            optimizer.zero_grad()
            loss = (network(inputs) - inputs.sum(1, keepdim=True).sin()).square().mean()
            loss.backward()
            optimizer.step()
            error = loss.item()
            if arm.parameters["behaviour"] == "diverge" and step == 3:
                error = float("inf")
            yield CurvePoint(step, {"error": error})
            if context.checkpoints.is_due:
                state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                state |= {"done": step, "error": error, "inputs": inputs}
                context.checkpoints.save(step, state)
            time.sleep(arm.parameters["step_s"])
        name = "other" if arm.parameters["behaviour"] == "other_metric" else "error"
        value = float("nan") if arm.parameters["behaviour"] == "non_finite" else error
        return TrainedNetwork(network.eval(), {name: Estimate(value, None, 64)}, {"fits": "sine"})

    def _misbehave(self, arm, context):
        match arm.parameters["behaviour"]:
            case "raise":
                raise KeyError("lost")
            case "exit":
                sys.exit(3)
            case "refuse":
                raise ArmInfeasible("width 3 does not fit")
            case "missing_module":
                import hassil_that_is_not_there  # noqa: F401
            case "memory_error":
                raise MemoryError
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "leave_child":
                child = subprocess.Popen(["sleep", "300"])
                (Path(context.cache_folder) / "child.pid").write_text(str(child.pid))


def spaces():
    yield InstalledSpace(SEARCH_SPACE, TinyRecipe)
