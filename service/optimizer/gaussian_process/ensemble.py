"""Several Gaussian processes for one metric: as many forms of covariance as the data leave open."""

from collections.abc import Sequence

import numpy as np

from service.optimizer.gaussian_process.covariance import Array, Family
from service.optimizer.gaussian_process.fit import NOISY_START, Likelihood, Prior
from service.optimizer.gaussian_process.process import GaussianProcess, Training

FAMILIES = (
    Family("rbf", has_trend=False),
    Family("rbf", has_trend=True),
    Family("matern52", has_trend=False),
)
"""With few axes."""

MANY_AXES = 10
"""From so many on, axes cannot be told apart by the first values."""

_POOLED = (
    Family("rbf", has_trend=False, is_pooled=True),
    Family("matern52", has_trend=False, is_pooled=True),
)

_ALWAYS_KEPT = 2
"""So many of the families keep a member whatever their density: with few trials it tells little."""

_CONVINCING = 3.0
"""So much more of log density speaks for another warp than the first."""

MAX_FITTED_ARMS = 128
"""A step of the fit costs the cube of their number; so many settle the hyperparameters."""

_SCREENED_ARMS = 80
"""So many tell whether an axis stands out."""

_FIRST_STEPS, _MANY_VALUES, _FIRST_STEPS_OF_MANY = 50, 120, 20
"""After so many iterations only the better of the starts goes on: the earlier it is chosen, the
more often the worse one is. With many values, from which all starts lead to one end, early."""
_ITERATIONS = 50


def families_for(axes: int) -> tuple[Family, ...]:
    """The forms that the values of a metric over so many axes leave open."""
    return FAMILIES if axes < MANY_AXES else _POOLED


def fit_ensemble(
    trainings: Sequence[Training], families: Sequence[Family], members: int
) -> list[GaussianProcess]:
    """`members` processes, one per family, repeated in proportion to how well it predicts.

    trainings: the same values under several warps; the one under which the first family predicts
    them best is taken for all.

    Families and warps are weighed by their leave-one-out log density [Rasmussen2006, 5.4.2]. With
    many axes the hyperparameters' own improbability counts against a family: as many of them as
    there are values predict each value from the others better than they predict a new one.
    """
    firsts = [_fit(training, families[0]) for training in trainings]
    fits = [
        density + _log_slope(training) - _CONVINCING * (n > 0)
        for n, (training, (_, density)) in enumerate(zip(trainings, firsts, strict=True))
    ]
    best = int(np.argmax(fits))
    training = trainings[best]
    found = [firsts[best], *(_fit(training, family) for family in families[1:])]
    fitted = [process for process, _ in found]
    shares = _shares(np.array([density for _, density in found]), members)
    if len(training.values) > MAX_FITTED_ARMS:  # the hyperparameters of some, given all
        fitted = [GaussianProcess(process.hyperparameters, training) for process in fitted]
    return [process for process, share in zip(fitted, shares, strict=True) for _ in range(share)]


def _fit(training: Training, family: Family) -> tuple[GaussianProcess, float]:
    """The process of the likeliest hyperparameters, and the log density it is weighed by."""
    likelihood = Likelihood(family, _some(training, MAX_FITTED_ARMS))
    prior = Prior.of(family, training.columns)
    first = _FIRST_STEPS if len(training.values) < _MANY_VALUES else _FIRST_STEPS_OF_MANY
    climbs = [likelihood.minimise(prior, start, first) for start in likelihood.starts()]
    vector, _ = min(climbs, key=lambda climb: climb[1])
    vector, value = likelihood.minimise(prior, vector, _ITERATIONS)
    if family.is_pooled:
        few = Likelihood(family, _some(training, _SCREENED_ARMS))
        short = few.one_axis_short(prior, climbs[NOISY_START][0], vector)
        if short is not None:
            other, found = likelihood.minimise(prior, short, _ITERATIONS)
            vector = other if found < value else vector
    process = likelihood.process(vector)
    handicap = prior.penalty(vector)[0] if training.columns.axes >= MANY_AXES else 0.0
    return process, process.leave_one_out() - handicap


def _log_slope(training: Training) -> float:
    some = _some(training, MAX_FITTED_ARMS)
    return training.warp.log_slope(some.values, some.noise.counts)


def _some(training: Training, most: int) -> Training:
    """At most so many of the values, evenly along the history."""
    n = len(training.values)
    if n <= most:
        return training
    kept = np.linspace(0, n - 1, most).round().astype(int)
    return training.some(kept)


def _shares(densities: Array, members: int) -> list[int]:
    """How many members each family gets, in proportion to its density."""
    weights = np.exp(densities - densities.max())
    least = np.zeros(len(densities))
    least[:_ALWAYS_KEPT] = 1 if members >= _ALWAYS_KEPT else 0
    wanted = weights / weights.sum() * (members - least.sum())
    shares = least + np.floor(wanted)
    for n in np.argsort(-(wanted - np.floor(wanted)), kind="stable"):
        if shares.sum() >= members:
            break
        shares[n] += 1
    return [int(share) for share in shares]
