"""Ax's modular Bayesian optimization, fitted anew to a history: proposes, scores and predicts.

Transforms, and what a strategy does not name, are Ax's own choice: a Gaussian process with
dimension-scaled priors [Hvarfner2024] and log noisy expected hypervolume improvement
[Ament2023], or the probability of feasibility while nothing is feasible. The published
methods differ in the surrogate (SAASBO's is fully Bayesian, by NUTS [Eriksson2021]) or in the
acquisition function (a random scalarisation [Knowles2006]). The search for the
acquisition function's maximum is cut short, which costs little of its value and saves three
quarters of the time.

[Hvarfner2024] C. Hvarfner, E. Hellsten, L. Nardi. Vanilla Bayesian Optimization Performs
    Great in High Dimensions. ICML 2024.
[Ament2023] S. Ament et al. Unexpected Improvements to Expected Improvement for Bayesian
    Optimization. NeurIPS 2023.
[Eriksson2021] D. Eriksson, M. Jankowiak. High-Dimensional Bayesian Optimization with Sparse
    Axis-Aligned Subspaces. UAI 2021.
[Knowles2006] J. Knowles. ParEGO: a hybrid algorithm with on-line landscape approximation for
    expensive multiobjective optimization problems. IEEE Trans. Evol. Comput., 2006.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ax.adapter.registry import MBM_X_trans_base, Y_trans
from ax.adapter.torch import TorchAdapter
from ax.core.observation import ObservationFeatures
from ax.exceptions.core import AxError
from ax.generators.torch.botorch_modular.generator import BoTorchGenerator
from ax.generators.torch.botorch_modular.surrogate import SurrogateSpec
from ax.generators.torch.botorch_modular.utils import ModelConfig
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.exceptions.errors import BotorchError
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from botorch.optim.optimize_mixed import ALTERNATING_OPTIMIZER_THRESHOLD, MAX_CHOICES_ENUMERATE

from search_spaces.arm import Arm
from service.optimizer.ax_space import AxSpace
from service.optimizer.ax_translation import ax_experiment
from service.optimizer.history import MeasuredArm
from service.optimizer.optimizer import SuggestRequest

torch.set_num_threads(1)  # two threads take twice the CPU time and no less wall time

_logger = logging.getLogger(__name__)

_RESTARTS = 4
_RAW_SAMPLES = 128


def _saas(model_class: type, **mll_options: Any) -> dict[str, Any]:
    config = ModelConfig(botorch_model_class=model_class, mll_options=mll_options, name="saas")
    return {"surrogate_spec": SurrogateSpec(model_configs=[config])}


_GENERATOR_OPTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "ax": dict,
    "map_saas": lambda: _saas(EnsembleMapSaasSingleTaskGP),
    "saasbo": lambda: _saas(SaasFullyBayesianSingleTaskGP, disable_progbar=True),
    "parego": lambda: {"botorch_acqf_class": qLogNParEGO},
}
"""What each strategy asks of Ax's generator."""


class AxModel:
    """A surrogate fitted to `arms`, and the acquisition function over it.

    strategy: `ax`, `map_saas`, `saasbo` or `parego`.
    """

    def __init__(
        self,
        request: SuggestRequest,
        arms: Sequence[MeasuredArm],
        reference: Mapping[str, float],
        seed: int,
        strategy: str = "ax",
    ) -> None:
        self._seed = seed
        self._reseed()
        self._space = AxSpace(request.space)
        experiment, data, self._metrics = ax_experiment(request, self._space, arms, reference)
        self._generator = BoTorchGenerator(**_GENERATOR_OPTIONS[strategy]())
        self._adapter = TorchAdapter(
            experiment=experiment,
            data=data,
            generator=self._generator,
            transforms=[*MBM_X_trans_base, *Y_trans],
            fit_tracking_metrics=False,
            torch_device=torch.device("cpu"),
        )

    def propose(self, pending: Sequence[Arm]) -> Arm | None:
        """Where the acquisition function is largest, given that `pending` are under way.

        A constraint that Ax could not be told may be broken. None where Ax finds no maximum,
        as it does under constraints that act like equations, or in a small discrete space of
        which every arm is known.
        """
        self._reseed()
        try:
            generated = self._adapter.gen(
                n=1,
                pending_observations=self._pending(pending),
                model_gen_options={"optimizer_kwargs": _optimizer_options(self._space)},
            )
        except (AxError, BotorchError, RuntimeError, ValueError) as error:
            _logger.info("Ax found no maximum of its acquisition function: %s", error)
            return None
        coordinates: dict[str, Any] = generated.arms[0].parameters
        return self._space.decode(coordinates)

    def scores(self, arms: Sequence[Arm], pending: Sequence[Arm]) -> list[float]:
        """The acquisition function's value at each arm; larger is better, NaN becomes -inf."""
        self._reseed()
        values = self._adapter.evaluate_acquisition_function(
            observation_features=[self._features(arm) for arm in arms],
            pending_observations=self._pending(pending),
        )
        return [-math.inf if math.isnan(value) else float(value) for value in values]

    def predict(self, arm: Arm) -> dict[str, dict[str, float]]:
        """The posterior mean and standard deviation of each metric at the arm, where finite."""
        means, covariances = self._adapter.predict([self._features(arm)])
        found: dict[str, dict[str, float]] = {}
        for name, metric in self._metrics.items():
            mean, variance = float(means[name][0]), float(covariances[name][name][0])
            if math.isfinite(mean) and math.isfinite(variance):
                found[metric] = {"mean": mean, "sd": math.sqrt(max(variance, 0.0))}
        return found

    @property
    def acquisition_name(self) -> str:
        """The acquisition function that Ax chose."""
        return self._generator.botorch_acqf_class.__name__

    def _reseed(self) -> None:
        torch.manual_seed(self._seed)
        np.random.seed(self._seed)  # Ax breaks ties between choices with the global generator

    def _features(self, arm: Arm) -> ObservationFeatures:
        return ObservationFeatures(parameters={**self._space.encode(arm)})

    def _pending(self, arms: Sequence[Arm]) -> dict[str, list[ObservationFeatures]] | None:
        if not arms:
            return None
        return {name: [self._features(arm) for arm in arms] for name in self._metrics}


def _optimizer_options(space: AxSpace) -> dict[str, Any]:
    """Few restarts and short alternations, in the words of the optimizer that Ax will choose."""
    options: dict[str, Any] = {"num_restarts": _RESTARTS, "raw_samples": _RAW_SAMPLES}
    combinations = math.prod(space.discrete_sizes)
    if space.is_discrete:
        return {} if combinations <= MAX_CHOICES_ENUMERATE else options
    if space.discrete_sizes and combinations > ALTERNATING_OPTIMIZER_THRESHOLD:
        alternation = {
            "maxiter_alternating": 8,
            "maxiter_discrete": 4,
            "maxiter_continuous": 8,
            "maxiter_init": 20,
        }
        return {**options, "options": alternation}
    return {**options, "options": {"maxiter": 50}}
