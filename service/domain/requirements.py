"""What an experiment's trainings need of a worker."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from search_spaces.values import Name, ShortText, Value

_FEW = Field(max_length=20)


class Requirements(Value):
    """A worker is given the experiment's trainings only if it meets all of this.

    labels: that it carries, with these values.
    at_least: of its resources, by name (`gpu_memory_gib: 40`).
    """

    labels: Annotated[dict[Name, ShortText], _FEW] = {}
    at_least: Annotated[dict[Name, float], _FEW] = {}

    def met_by(self, labels: Mapping[str, str], resources: Mapping[str, float]) -> bool:
        """Whether a worker with these labels and resources may train."""
        return all(labels.get(name) == value for name, value in self.labels.items()) and all(
            resources.get(name, float("-inf")) >= least for name, least in self.at_least.items()
        )

    def __str__(self) -> str:
        told = [f"{name}={value}" for name, value in self.labels.items()]
        told += [f"{name} >= {least:g}" for name, least in self.at_least.items()]
        return ", ".join(told)
