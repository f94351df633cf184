"""How far a training has come: the points of its learning curve, and the time it took."""

from collections.abc import Callable, Iterable, Mapping

from search_spaces.recipe import CurvePoint


class Progress:
    """Of one training, also of what it did before it was broken off.

    clock_s: seconds from any origin, never going back.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._points: list[CurvePoint] = []
        self._latest: dict[str, tuple[int, float]] = {}

    def add(self, point: CurvePoint) -> None:
        """The training gave a point."""
        self._points.append(point)
        self._latest |= {name: (point.step, float(v)) for name, v in point.metrics.items()}

    def take_over(self, points: Iterable[CurvePoint], spent_s: float) -> None:
        """The training goes on where another attempt had given these points in so many seconds."""
        for point in points:
            self.add(point)
        self._began_s -= spent_s

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """All points, in order."""
        return tuple(self._points)

    @property
    def last_point(self) -> CurvePoint | None:
        """The newest point."""
        return self._points[-1] if self._points else None

    @property
    def latest(self) -> Mapping[str, tuple[int, float]]:
        """Of each metric the newest value and its step; not every point carries every metric."""
        return self._latest

    @property
    def spent_s(self) -> float:
        """The time that training took so far."""
        return self._clock_s() - self._began_s
