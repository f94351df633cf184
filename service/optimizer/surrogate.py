"""What is believed of each metric after the measurements: an ensemble of Gaussian processes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.arm import Arm
from service.optimizer.encoding import Encoding, Rows
from service.optimizer.gaussian_process.covariance import Array, Columns, Family
from service.optimizer.gaussian_process.ensemble import families_for, fit_ensemble
from service.optimizer.gaussian_process.fit import standardised
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import GaussianProcess, Training
from service.optimizer.gaussian_process.warp import UNWARPED, Warp
from service.optimizer.history import ONCE, MeasuredArm, Repeats

MEMBERS = 8
"""Processes per metric, most of them the same ones: their number is their weight."""

FEASIBILITY = "feasible?"
"""A metric of ours, +1 where an arm could be built and trained, -1 where not (no legal name)."""

_WITH_SOURCES = Family("rbf", has_trend=True, has_sources=True)
_FEASIBILITY_FAMILIES = (Family("rbf", has_trend=False), Family("matern52", has_trend=False))
_SOURCE_FAMILIES = (Family("rbf", has_trend=True),)
_LEAST_SOURCE_ARMS = 5


@dataclass(frozen=True)
class Measured:
    """Values of one metric at rows; sems: None where unknown."""

    rows: Rows
    means: Array
    sems: Sequence[float | None]
    repeats: Sequence[Repeats]


@dataclass(frozen=True)
class MetricSurrogate:
    """The processes of one metric, over values of which `scale` units are 1 and `centre` is 0.

    All of them have the same warp.
    """

    members: Sequence[GaussianProcess]
    centre: float
    scale: float

    @property
    def warp(self) -> Warp:
        """Between standardised values and what the processes model."""
        return self.members[0].warp

    def standardised(self, value: float) -> float:
        """A value of the metric, in standardised units."""
        return (value - self.centre) / self.scale

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (each q) in the metric's unit, of the members' mixture.

        Of a member whose values are skewed: their median, and half of what lies within one
        deviation to both sides.
        """
        unique = {id(member): member for member in self.members}
        predicted = {key: self._unwarped(member, features) for key, member in unique.items()}
        means = [predicted[id(member)][0] for member in self.members]
        deviations = [predicted[id(member)][1] for member in self.members]
        mean = np.mean(means, axis=0)
        variance = np.mean(np.square(deviations), axis=0) + np.var(means, axis=0)
        return self.centre + self.scale * mean, self.scale * np.sqrt(variance)

    def learnt_noise(self, features: Array) -> Array:
        """Deviation (q) of one measurement, in the metric's unit, beside what is known of it."""
        unique = {id(member): member for member in self.members}
        variances = {key: self._noise_of(member, features) for key, member in unique.items()}
        of_members = [variances[id(member)] for member in self.members]
        deviation: Array = self.scale * np.sqrt(np.mean(of_members, axis=0))
        return deviation

    def draw(self, features: Array, count: int, rng: np.random.Generator) -> Array:
        """`count` joint draws (count x q) of the true values, an equal number of every member's."""
        draws = []
        unique = {id(member): member for member in self.members}
        for key, member in unique.items():
            share = sum(id(other) == key for other in self.members)
            mean, covariance = member.joint(features)
            variances, directions = np.linalg.eigh(covariance)
            root = directions * np.sqrt(np.maximum(variances, 0.0))
            normal = rng.normal(size=(count * share // len(self.members), len(mean)))
            draws.append(mean + normal @ root.T)
        values = self.warp.values(rng.permutation(np.vstack(draws)))
        drawn: Array = self.centre + self.scale * values
        return drawn

    def _noise_of(self, member: GaussianProcess, features: Array) -> Array:
        slopes = self.warp.slopes(member.predict(features)[0])
        variances: Array = slopes**2 * np.exp(member.hyperparameters.log_noise_variance)
        return variances

    def _unwarped(self, member: GaussianProcess, features: Array) -> tuple[Array, Array]:
        mean, deviation = member.predict(features)
        up, down = (self.warp.values(mean + sign * deviation) for sign in (1, -1))
        return self.warp.values(mean), 0.5 * (up - down)


class Surrogate:
    """One ensemble per metric, each from the arms that measured the metric.

    sources: measurements of the metrics in earlier experiments. What they predict may become a
    term of the trend, with a weight that this experiment's own trials decide: a source that
    misleads gets none.
    labelled: arms with +1 if they could be built and trained and -1 if not; empty: all could.
    """

    def __init__(
        self,
        encoding: Encoding,
        arms: Sequence[MeasuredArm],
        metrics: Sequence[str],
        *,
        rng: np.random.Generator,
        labelled: Sequence[tuple[Arm, float]] = (),
        sources: Sequence[Sequence[MeasuredArm]] = (),
    ) -> None:
        self.encoding = encoding
        self.arms = list(arms)
        self.features = encoding.features(encoding.rows_of([arm.arm for arm in arms]))
        self._columns = Columns(encoding.axis_of_column, encoding.is_curved)
        self._rng = rng
        self._sources = sources
        self.metrics = {metric: self._fit_metric(metric) for metric in metrics}
        if labelled:
            self.metrics[FEASIBILITY] = self._fit_feasibility(labelled)

    def predict(self, arms: Sequence[Arm]) -> dict[str, tuple[Array, Array]]:
        """Mean and standard deviation of every metric, in its unit, at legal arms."""
        features = self.encoding.features(self.encoding.rows_of(arms))
        return {metric: model.predict(features) for metric, model in self.metrics.items()}

    def _fit_metric(self, metric: str) -> MetricSurrogate:
        columns = self._columns
        measured = self._measured(metric, self.arms)
        families = families_for(columns.axes)
        found = (self._fit_source(metric, source) for source in self._sources)
        sources = tuple(source for source in found if source is not None)
        if sources:
            columns = Columns(columns.axis, columns.is_curved, sources)
            families = (_WITH_SOURCES, *families)
        return self._fit(measured, columns, families, MEMBERS)

    def _fit_source(self, metric: str, arms: Sequence[MeasuredArm]) -> GaussianProcess | None:
        measured = self._measured(metric, arms)
        if len(measured.means) < _LEAST_SOURCE_ARMS:
            return None
        return self._fit(measured, self._columns, _SOURCE_FAMILIES, 1).members[0]

    def _fit_feasibility(self, labelled: Sequence[tuple[Arm, float]]) -> MetricSurrogate:
        features = self.encoding.features(self.encoding.rows_of([arm for arm, _ in labelled]))
        labels = np.array([label for _, label in labelled])
        # not standardised: an arm far from all others stays as likely feasible as not
        training = Training(self._columns, features, labels, Noise.none(len(labels)))
        members = fit_ensemble([training], _FEASIBILITY_FAMILIES, MEMBERS)
        return MetricSurrogate(members, 0.0, 1.0)

    def _measured(self, metric: str, arms: Sequence[MeasuredArm]) -> Measured:
        having = [arm for arm in arms if metric in arm.means]
        return Measured(
            self.encoding.rows_of([arm.arm for arm in having]),
            np.array([arm.means[metric] for arm in having]),
            [arm.sems[metric] for arm in having],
            [arm.repeats.get(metric, ONCE) for arm in having],
        )

    def _fit(
        self, measured: Measured, columns: Columns, families: Sequence[Family], members: int
    ) -> MetricSurrogate:
        centre, scale = standardised(measured.means)
        values = (measured.means - centre) / scale
        sems = np.array([0.0 if sem is None else sem / scale for sem in measured.sems])
        counts = np.array([float(repeats.count) for repeats in measured.repeats])
        squares = np.array([repeats.squares for repeats in measured.repeats]) / scale**2
        features = self.encoding.features(measured.rows)
        logarithm = Warp.logarithm(values, zero=-centre / scale)
        trainings = []
        for warp in (UNWARPED, logarithm):
            if warp is not None:
                modelled = warp.modelled(values)
                slopes = warp.slopes(modelled)
                noise = Noise((sems / slopes) ** 2, counts, squares / slopes**2)
                trainings.append(Training(columns, features, modelled, noise, warp))
        fitted = fit_ensemble(trainings, families, members)
        self._rng.shuffle(fitted)  # each member of one metric meets every member of another
        return MetricSurrogate(fitted, centre, scale)
