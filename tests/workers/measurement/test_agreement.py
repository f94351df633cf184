"""Answers are compared output by output; what disagrees is refused by name."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces.recipe import ArmInfeasible
from workers.measurement.agreement import (
    RELATIVE_TOLERANCE,
    AnswersNotFinite,
    ExportDisagrees,
    check_agreement,
)
from workers.runtimes.registry import find_runtime
from workers.runtimes.runtime import Inputs


class TwoAnswers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.layer(x), "chosen": self.layer(x).argmax(-1)}


class AlteredAnswers:
    """A session that answers as the network does, but for one alteration."""

    def __init__(
        self, network: nn.Module, alter: Callable[[list[np.ndarray]], list[np.ndarray]]
    ) -> None:
        self.network, self.alter = network, alter

    def run(self, inputs: Inputs) -> list[np.ndarray]:
        with torch.no_grad():
            return self.alter([tensor.numpy().copy() for tensor in self.network(*inputs).values()])

    def prepare(self, inputs: Inputs) -> None: ...
    def invoke(self) -> None: ...
    def answers(self) -> list[np.ndarray]:
        return []


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return TwoAnswers().eval()


INPUTS = [(torch.linspace(-1, 1, 8).view(2, 4),), (torch.ones(2, 4),)]


def off_by(share: float) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """The largest logit is off by this share of itself."""

    def alter(answers: list[np.ndarray]) -> list[np.ndarray]:
        logits = answers[0]
        logits.flat[np.abs(logits).argmax()] *= 1 + share
        return answers

    return alter


def test_what_agrees_tells_how_closely(network: nn.Module) -> None:
    agreement = check_agreement(network, AlteredAnswers(network, off_by(1e-4)), INPUTS)
    assert agreement.inputs == 2
    assert agreement.worst_relative_error == pytest.approx(1e-4, rel=0.01)
    assert agreement.tolerance == RELATIVE_TOLERANCE


def test_an_error_above_the_tolerance_names_output_error_and_tolerance(
    network: nn.Module,
) -> None:
    altered = AlteredAnswers(network, off_by(0.02))
    with pytest.raises(
        ExportDisagrees,
        match=r"output\['logits'\] on input 0 differs .* by 0\.02 .* tolerance 0\.001",
    ):
        check_agreement(network, altered, INPUTS)
    assert check_agreement(network, altered, INPUTS, tolerance=0.03).tolerance == 0.03


def test_the_worst_of_all_inputs_counts(network: nn.Module) -> None:
    calls = 0

    def only_second(answers: list[np.ndarray]) -> list[np.ndarray]:
        nonlocal calls
        calls += 1
        return off_by(0.1)(answers) if calls == 2 else answers

    with pytest.raises(ExportDisagrees, match="on input 1"):
        check_agreement(network, AlteredAnswers(network, only_second), INPUTS)


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda a: [a[0], a[1] + 1], r"output\['chosen'\] on input 0 differs"),
        (lambda a: [a[0] * np.nan, a[1]], r"output\['logits'\] .* by inf"),
        (lambda a: [a[0] * np.inf, a[1]], r"output\['logits'\] .* by inf"),
        (lambda a: [a[0][:1], a[1]], r"shape \(1, 3\) where torch gives float32 of shape \(2, 3\)"),
        (lambda a: [a[0].astype(np.float64), a[1]], "float64 .* where torch gives float32"),
        (lambda a: a[:1], "torch gives 2 outputs, the exported network 1"),
    ],
)
def test_every_other_difference_is_refused(
    network: nn.Module, alter: Callable[[list[np.ndarray]], list[np.ndarray]], told: str
) -> None:
    with pytest.raises(ExportDisagrees, match=told) as refused:
        check_agreement(network, AlteredAnswers(network, alter), INPUTS)
    assert isinstance(refused.value, ArmInfeasible)


class Fixed(nn.Module):
    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, _: Tensor) -> dict[str, Tensor]:
        return {"values": self.values}


def test_infinities_must_stand_where_torch_has_them() -> None:
    network = Fixed([1.0, -math.inf])
    check_agreement(network, AlteredAnswers(network, lambda a: a), INPUTS)
    with pytest.raises(ExportDisagrees):
        check_agreement(network, AlteredAnswers(network, lambda a: [-a[0]]), INPUTS)


def test_a_network_that_answers_nan_is_refused_as_such() -> None:
    network = Fixed([math.nan, 1.0])
    with pytest.raises(AnswersNotFinite, match="the network diverged"):
        check_agreement(network, AlteredAnswers(network, lambda a: a), INPUTS)


def test_outputs_that_are_all_but_zero_may_err_as_little() -> None:
    network = Fixed([0.0, 0.0])
    check_agreement(network, AlteredAnswers(network, lambda a: [a[0] + 1e-10]), INPUTS)
    with pytest.raises(ExportDisagrees):
        check_agreement(network, AlteredAnswers(network, lambda a: [a[0] + 1e-6]), INPUTS)


def test_without_inputs_nothing_can_be_compared(network: nn.Module) -> None:
    with pytest.raises(ValueError, match="inputs is empty"):
        check_agreement(network, AlteredAnswers(network, lambda a: a), [])


def test_an_export_of_other_weights_is_caught(network: nn.Module, tmp_path: Path) -> None:
    """For real: the exported file is that of a network trained one step further."""
    runtime = find_runtime("onnxruntime")
    exported = runtime.export(network, INPUTS[0], tmp_path)
    session = runtime.load(exported.path)
    assert check_agreement(network, session, INPUTS).worst_relative_error < 1e-5
    with torch.no_grad():
        network.layer.weight += 0.01
    with pytest.raises(ExportDisagrees, match="logits"):
        check_agreement(network, session, INPUTS)
