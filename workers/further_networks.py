"""Deploys the networks that an arm has beside its first one: see `Deployment`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from search_spaces.recipe import Estimate
from service.domain.device import MeasurementSettings
from workers.benches.bench import Bench
from workers.measurement.measure import measure
from workers.runtimes.runtime import Runtime, Session
from workers.stage_order import StageOrder


@dataclass(frozen=True)
class MeasuredNetwork:
    """See `DeployedNetwork`."""

    metrics: Mapping[str, Estimate]
    session: Session

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See `DeployedNetwork.run`."""
        return self.session.run(inputs)


class FurtherNetworks:
    """Measures each as the first one was: on the same bench, in its runtime and precision."""

    def __init__(
        self,
        settings: MeasurementSettings,
        runtime: Runtime,
        bench: Bench,
        order: StageOrder,
        tolerance: float | None = None,
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._bench = bench
        self._order = order
        self._tolerance = tolerance
        self._protocols: list[Mapping[str, Any]] = []

    def __call__(
        self, network: nn.Module, inputs: Sequence[tuple[torch.Tensor, ...]]
    ) -> MeasuredNetwork:
        """See `Deployment`. Raises: as `measure` does."""
        folder = self._order.folder.scratch / f"further-{len(self._protocols)}"
        folder.mkdir()
        measured = measure(
            network.eval(),
            inputs,
            self._settings,
            self._runtime,
            self._bench,
            self._order.cache_folder,
            folder,
            self._order.grant.seed,
            tolerance=self._tolerance,
        )
        self._protocols.append(measured.protocol)
        session = self._runtime.load(measured.exported_path, self._settings.threads)
        return MeasuredNetwork(measured.metrics, session)

    @property
    def protocol(self) -> dict[str, Any]:
        """Of the network deployed last, whose figures a space's own metrics are made of."""
        seed = {"seed": self._order.grant.seed, "torch": torch.__version__}
        return {**seed, **(self._protocols[-1] if self._protocols else {})}
