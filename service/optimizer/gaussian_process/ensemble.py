"""Several Gaussian processes for one metric: as many forms of covariance as the data leave open."""

from collections.abc import Sequence

import numpy as np

from service.optimizer.gaussian_process.fit import Likelihood, Prior
from service.optimizer.gaussian_process.process import Array, Family, GaussianProcess, Training

FAMILIES = (
    Family("rbf", has_trend=True),
    Family("rbf", has_trend=False),
    Family("matern52", has_trend=False),
)
"""With few axes."""

MANY_AXES = 10
"""From so many on, axes cannot be told apart by the first values."""

_POOLED = (
    Family("rbf", has_trend=False, is_pooled=True),
    Family("matern52", has_trend=False, is_pooled=True),
)
_TREND_FROM = 2
"""So many values per axis let a trend of two terms per axis be learnt."""

_ALWAYS_KEPT = 2
"""So many of the families keep a member whatever their density: with few trials it tells little."""

MAX_FITTED_ARMS = 250
"""A step of the fit costs the cube of their number; so many settle the hyperparameters."""

_FIRST_STEPS = 12
"""After so many iterations only the better of the starts goes on."""
_ITERATIONS = 50


def families_for(axes: int, values: int) -> tuple[Family, ...]:
    """The forms that so many values of a metric over so many axes leave open."""
    if axes < MANY_AXES:
        return FAMILIES
    return _POOLED if values < _TREND_FROM * axes else (*_POOLED, FAMILIES[0])


def fit_ensemble(
    training: Training, families: Sequence[Family], members: int
) -> list[GaussianProcess]:
    """`members` processes, one per family, repeated in proportion to how well it predicts.

    Families are weighed by their leave-one-out log density [Rasmussen2006, 5.4.2]. With many
    axes the hyperparameters' own improbability counts against a family: as many of them as there
    are values predict each value from the others better than they predict a new one.
    """
    is_wide = training.columns.axes >= MANY_AXES
    fitted, densities = [], []
    for family in families:
        likelihood = Likelihood(family, _some(training))
        prior = Prior.of(family, training.columns)
        climbs = [likelihood.minimise(prior, start, _FIRST_STEPS) for start in likelihood.starts()]
        vector, _ = min(climbs, key=lambda climb: climb[1])
        vector, _ = likelihood.minimise(prior, vector, _ITERATIONS)
        process = likelihood.process(vector)
        fitted.append(process)
        handicap = prior.penalty(vector)[0] if is_wide else 0.0
        densities.append(process.leave_one_out() - handicap)
    shares = _shares(np.array(densities), members)
    if len(training.values) > MAX_FITTED_ARMS:  # the hyperparameters of some, given all
        fitted = [GaussianProcess(process.hyperparameters, training) for process in fitted]
    return [process for process, share in zip(fitted, shares, strict=True) for _ in range(share)]


def _some(training: Training) -> Training:
    """At most so many of the values, evenly along the history."""
    n = len(training.values)
    if n <= MAX_FITTED_ARMS:
        return training
    kept = np.linspace(0, n - 1, MAX_FITTED_ARMS).round().astype(int)
    return Training(
        training.columns, training.features[kept], training.values[kept], training.noise[kept]
    )


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
