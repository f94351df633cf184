"""What every optimizer under comparison can do: propose an arm, and hear what it measured."""

from collections.abc import Mapping
from typing import Protocol

from search_spaces.arm import Arm
from service.domain.measurement import Measurement


class Peer(Protocol):
    """One optimizer in one run: `ask`, `tell`, `ask`, `tell` ... one arm at a time."""

    @property
    def version(self) -> str:
        """Package and version, as the results record it."""
        ...

    def ask(self) -> Arm:
        """The next arm to evaluate; may repeat an earlier one where the optimizer does."""
        ...

    def tell(self, arm: Arm, measured: Mapping[str, Measurement]) -> None:
        """What the arm of the last `ask` measured."""
        ...
