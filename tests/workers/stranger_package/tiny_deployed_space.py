"""A tiny search space of two networks, both exported in the precision that the arm chooses."""
# ruff: noqa: PLC0415  (importing it imports no torch)

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import ChoiceParameter, IntParameter
from search_spaces.recipe import CurvePoint, Estimate, TrainedNetwork
from search_spaces.registry import InstalledSpace
from search_spaces.space import Citation, SearchSpace

SEARCH_SPACE = SearchSpace(
    name="tiny-deployed",
    version=1,
    title="Tiny, in two parts",
    description="Fits a sine; the device also runs its last layer alone.",
    citation=Citation(title="None", authors="Nobody", year=2026),
    space=ParameterSpace(
        parameters=(
            IntParameter(name="width", low=1, high=64),
            ChoiceParameter(name="precision", values=("fp32", "int8_dynamic")),
        ),
        evaluation_parameters=("precision",),
    ),
    metrics=(
        MetricDefinition(name="loss", stage="train"),
        MetricDefinition(
            name="runs_per_s", unit="1/s", better="higher", stage="measure", by_device=True
        ),
        MetricDefinition(name="change", stage="measure", by_device=True),
    ),
    baseline=Arm(parameters={"width": 8, "precision": "fp32"}),
    precision_parameter="precision",
)


def _network(width):
    import torch

    return torch.nn.Sequential(
        torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, 3)
    )


class TinyDeployedRecipe:
    """Trains one step; tells of the last layer by itself."""

    def build(self, arm):
        return _network(arm.parameters["width"]).eval()

    def example_inputs(self, arm, count, context):
        import torch

        drawn = torch.randn(count, 1, 4, generator=torch.Generator().manual_seed(0))
        return [(one,) for one in drawn]

    def train(self, arm, context):
        import torch

        torch.manual_seed(context.seed)
        network = _network(arm.parameters["width"])
        yield CurvePoint(1, {"loss": 1.0})
        return TrainedNetwork(network.eval(), {"loss": Estimate(1.0)})

    def evaluate_deployed(self, arm, network, deploy, context):
        """`change`: how far the runtime's answer is from torch's, at most."""
        import torch

        hidden = torch.randn(1, arm.parameters["width"], generator=torch.Generator().manual_seed(1))
        deployed = deploy(network[2], [(hidden,)])
        (answer,) = deployed.run([hidden.numpy()])
        with torch.no_grad():
            change = abs(network[2](hidden).numpy() - answer).max()
        latency_ms = deployed.metrics["latency_ms"].mean
        return {"runs_per_s": Estimate(1e3 / latency_ms), "change": Estimate(float(change))}


def spaces():
    yield InstalledSpace(SEARCH_SPACE, TinyDeployedRecipe)
