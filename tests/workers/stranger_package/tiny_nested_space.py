"""A tiny search space whose gate is set after training: arms that differ in it share a training."""
# ruff: noqa: PLC0415  (importing it imports no torch)

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import FloatParameter, IntParameter
from search_spaces.recipe import CurvePoint, Estimate, TrainedNetwork
from search_spaces.registry import InstalledSpace
from search_spaces.space import Citation, SearchSpace

SEARCH_SPACE = SearchSpace(
    name="tiny-nested",
    version=1,
    title="Tiny, with a gate",
    description="Fits a sine; hidden units below the gate are silenced in the deployed network.",
    citation=Citation(title="None", authors="Nobody", year=2026),
    space=ParameterSpace(
        parameters=(
            IntParameter(name="width", low=1, high=64),
            IntParameter(name="steps", low=1, high=1_000),
            FloatParameter(name="gate", low=0.0, high=1.0),
        ),
        evaluation_parameters=("gate",),
    ),
    metrics=(
        MetricDefinition(name="loss", stage="train"),
        MetricDefinition(name="error", stage="measure"),
    ),
    baseline=Arm(parameters={"width": 8, "steps": 5, "gate": 0.0}),
)


def _gated(width, gate):
    import torch

    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.Linear(4, width)
            self.last = torch.nn.Linear(width, 1)

        def forward(self, x):
            y = self.hidden(x).tanh()
            return self.last(y * (y.abs() >= gate))

    return Gated()


def _task():
    import torch

    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return inputs, inputs.sum(1, keepdim=True).sin()


class TinyNestedRecipe:
    """Trains without the gate; evaluates with it."""

    def build(self, arm):
        return _gated(arm.parameters["width"], arm.parameters["gate"]).eval()

    def example_inputs(self, arm, count, context):
        inputs, _ = _task()
        return [(inputs[[number]],) for number in range(count)]

    def train(self, arm, context):
        import torch

        torch.manual_seed(context.seed)
        network = _gated(arm.parameters["width"], 0.0).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        inputs, targets = _task()
        loss = None
        for step in range(1, arm.parameters["steps"] + 1):
            optimizer.zero_grad()
            loss = (network(inputs) - targets).square().mean()
            loss.backward()
            optimizer.step()
            yield CurvePoint(step, {"loss": loss.item()})
        return TrainedNetwork(network.eval(), {"loss": Estimate(loss.item())})

    def evaluate(self, arm, network, context):
        import torch

        inputs, targets = _task()
        with torch.no_grad():
            errors = (network(inputs) - targets).square()
        return {"error": Estimate(errors.mean().item(), None, len(errors))}


def spaces():
    yield InstalledSpace(SEARCH_SPACE, TinyNestedRecipe)
