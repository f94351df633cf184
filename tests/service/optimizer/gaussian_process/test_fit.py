"""The fit: exact gradients, what matters is found, and weights follow from predictions."""

from dataclasses import replace

import numpy as np
import pytest

from service.optimizer.gaussian_process.covariance import Columns, Family
from service.optimizer.gaussian_process.ensemble import (
    FAMILIES,
    MANY_AXES,
    families_for,
    fit_ensemble,
)
from service.optimizer.gaussian_process.fit import Likelihood, Prior, standardised
from service.optimizer.gaussian_process.noise import Noise
from service.optimizer.gaussian_process.process import Training


def training(axes: int, count: int, *, noise: float = 0.0, seed: int = 0) -> Training:
    """The first axis bends the values, the second tilts them, the others do nothing."""
    rng = np.random.default_rng(seed)
    features = rng.random((count, axes))
    values = np.sin(6 * features[:, 0]) + features[:, 1] + noise * rng.normal(size=count)
    centre, scale = standardised(values)
    columns = Columns(np.arange(axes), np.ones(axes, dtype=bool))
    return Training(columns, features, (values - centre) / scale, Noise.none(count))


EVERY_FAMILY = dict.fromkeys((*FAMILIES, *families_for(MANY_AXES)))


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_gradient_is_that_of_the_posterior(family: Family) -> None:
    likelihood = Likelihood(family, training(3, 10, noise=0.1))
    prior = Prior.of(family, likelihood.training.columns)
    vector = likelihood.starts()[1] + np.random.default_rng(1).normal(
        size=len(likelihood.starts()[1])
    )
    _, gradient = likelihood.negative_log_posterior(vector, prior)
    for number in range(len(vector)):
        step = 1e-5 * np.eye(len(vector))[number]
        high, _ = likelihood.negative_log_posterior(vector + step, prior)
        low, _ = likelihood.negative_log_posterior(vector - step, prior)
        assert gradient[number] == pytest.approx((high - low) / 2e-5, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_repeats_as_means_are_as_likely_as_one_by_one(family: Family) -> None:
    """But for a constant, and with the same gradient."""
    single = training(4, 8)
    given = np.random.default_rng(0).normal(0.0, 0.2, (8, 3))
    values = single.values[:, np.newaxis] + given
    known = np.linspace(0.01, 0.1, 8)  # of one measurement
    alone = Training(
        single.columns,
        np.repeat(single.features, 3, axis=0),
        values.ravel(),
        replace(Noise.none(24), known=np.repeat(known, 3)),
    )
    squares = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    pooled = Training(
        single.columns,
        single.features,
        values.mean(axis=1),
        Noise(known / 3, np.full(8, 3.0), squares),
    )
    found = []
    for likelihood in (Likelihood(family, alone), Likelihood(family, pooled)):
        likelihoods = []
        prior = Prior.of(family, single.columns)
        for start in likelihood.starts()[:2]:
            vector = start + np.linspace(-0.5, 0.5, len(start))
            value, gradient = likelihood.negative_log_posterior(vector, prior)
            likelihoods.append((value, gradient))
        found.append(likelihoods)
    (first, second), (first_pooled, second_pooled) = found
    assert first[0] - second[0] == pytest.approx(first_pooled[0] - second_pooled[0], rel=1e-5)
    for one, other in ((first, first_pooled), (second, second_pooled)):
        assert one[1] == pytest.approx(other[1], rel=1e-4, abs=1e-4)


def test_exact_repeats_tell_that_what_is_not_followed_is_no_noise() -> None:
    rng = np.random.default_rng(3)
    columns = Columns(np.arange(2), np.ones(2, dtype=bool))
    features = rng.random((20, 2))
    values = 3.0 * features[:, 0] + rng.normal(size=20)
    noises = []
    for count in (1.0, 3.0):
        noise = replace(Noise.none(20), counts=np.append(np.ones(17), np.full(3, count)))
        given = Training(columns, features, values, noise)
        (process,) = fit_ensemble([given], FAMILIES[:1], 1)
        noises.append(float(np.exp(0.5 * process.hyperparameters.log_noise_variance)))
    assert noises[0] > 0.3
    assert noises[1] < 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_the_likelihood_is_that_of_the_process(family: Family) -> None:
    """Up to the prior: the chain rule of densities, one value after the other."""
    given = training(2, 6)
    likelihood = Likelihood(family, given)
    vector = likelihood.starts()[0]
    flat = Prior(vector, np.full(len(vector), 1e9))
    value, _ = likelihood.negative_log_posterior(vector, flat)
    total, noise = 0.0, np.exp(vector[3]) + 1e-9
    for count in range(6):
        mean, variance = 0.0, float("nan")
        point = given.features[[count]]
        if count:
            so_far = Training(
                given.columns, given.features[:count], given.values[:count], Noise.none(count)
            )
            means, deviations = Likelihood(family, so_far).process(vector).predict(point)
            mean, variance = means[0], deviations[0] ** 2 + noise
        else:
            scales = np.append(1.0, np.exp(vector[4:-2]))
            terms = given.columns.terms(family, point)[0]
            variance = np.exp(vector[2]) + terms**2 @ scales + noise
        total += 0.5 * np.log(variance) + 0.5 * (given.values[count] - mean) ** 2 / variance
    assert value == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_axes_that_do_nothing_get_long_lengthscales(family: Family) -> None:
    likelihood = Likelihood(family, training(8, 60))
    prior = Prior.of(family, likelihood.training.columns)
    vector, _ = likelihood.minimise(prior, likelihood.starts()[0], 100)
    weights = vector[:8]
    assert weights[0] > weights[2:].max() + 3


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_is_told_from_signal(family: Family) -> None:
    for noise, low, high in ((0.0, 0.0, 0.003), (0.3, 0.02, 0.4)):
        likelihood = Likelihood(family, training(2, 80, noise=noise))
        prior = Prior.of(family, likelihood.training.columns)
        climbs = [likelihood.minimise(prior, start, 100) for start in likelihood.starts()]
        vector, _ = min(climbs, key=lambda climb: climb[1])
        assert low <= np.exp(vector[3]) <= high


def test_the_form_that_predicts_better_gets_more_members() -> None:
    linear = training(6, 40)
    values = linear.features @ np.arange(6.0) / 10
    linear = Training(linear.columns, linear.features, values - values.mean(), linear.noise)
    members = fit_ensemble([linear], FAMILIES, 8)
    with_trend = [member.hyperparameters.family.has_trend for member in members]
    assert len(members) == 8
    assert 4 < sum(with_trend) < 8  # the most, yet not all: the plain kernel keeps one


def test_fitting_again_gives_the_same_bits() -> None:
    given = training(5, 30, noise=0.1)
    one, other = (fit_ensemble([given], FAMILIES, 8) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        assert np.array_equal(first.hyperparameters.vector, second.hyperparameters.vector)


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [5.0]])
def test_values_that_never_change_have_scale_one(values: list[float]) -> None:
    assert standardised(np.array(values)) == (values[0], 1.0)


def test_an_even_shift_of_all_pooled_weights_moves_the_level_alone() -> None:
    pooled = families_for(MANY_AXES)[0]
    columns = Columns(np.arange(MANY_AXES), np.ones(MANY_AXES, dtype=bool))
    prior = Prior.of(pooled, columns)
    alone, all_of_them = prior.centre.copy(), prior.centre.copy()
    alone[0] += 2.0
    all_of_them[:MANY_AXES] += 2.0
    assert prior.penalty(prior.centre)[0] == pytest.approx(0.0)
    assert prior.penalty(all_of_them)[0] == pytest.approx(0.5 * (2.0 / prior.deviation[0]) ** 2)
    assert prior.penalty(alone)[0] > 10 * prior.penalty(all_of_them)[0]


def bowl(count: int, seed: int, axes: int = 20) -> Training:
    """Every axis counts the same, with its best at a place of its own."""
    rng = np.random.default_rng(seed)
    features = rng.random((count, axes))
    best = np.random.default_rng(0).uniform(0.2, 0.8, axes)
    values = ((features - best) ** 2).sum(axis=1)
    columns = Columns(np.arange(axes), np.ones(axes, dtype=bool))
    return Training(columns, features, (values - 2.2) / 0.4, Noise.none(count))


def test_few_values_over_many_axes_are_not_taken_for_more_than_they_tell() -> None:
    """Within what it says of its own doubt, where separate lengthscales are too sure."""
    told, unseen = bowl(30, 1), bowl(400, 2)

    def errors(families: tuple[Family, ...]) -> tuple[float, float]:
        members = fit_ensemble([told], families, 8)
        predicted = [member.predict(unseen.features) for member in members]
        mean = np.mean([mean for mean, _ in predicted], axis=0)
        wrong = mean - unseen.values
        scores = np.concatenate([(m - unseen.values) / deviation for m, deviation in predicted])
        return float(np.sqrt(np.mean(wrong**2))), float(np.sqrt(np.mean(scores**2)))

    pooled, separate = errors(families_for(20)), errors(FAMILIES)
    assert pooled[0] < separate[0]
    assert 0.6 < pooled[1] < 1.4
    assert pooled[1] < separate[1]


def test_the_forms_follow_the_axes() -> None:
    assert families_for(MANY_AXES - 1) == FAMILIES
    many = families_for(MANY_AXES)
    assert all(family.is_pooled and not family.has_trend for family in many)


@pytest.mark.parametrize("seed", range(6))
def test_no_start_is_given_up_that_would_have_led_further(seed: int) -> None:
    """Values with main effects and interactions: the starts lead to different ends."""
    rng = np.random.default_rng(seed)
    features = rng.random((45, 6))
    distance = ((features[:, 1:] - 0.5) ** 2).sum(axis=1)
    values = (1.0 + distance) * np.cos(0.5 * np.pi * features[:, 0])
    centre, scale = standardised(values)
    columns = Columns(np.arange(6), np.ones(6, dtype=bool))
    given = Training(columns, features, (values - centre) / scale, Noise.none(45))
    for family in FAMILIES:
        likelihood, prior = Likelihood(family, given), Prior.of(family, columns)
        (member,) = fit_ensemble([given], [family], 1)
        reached, _ = likelihood.negative_log_posterior(member.hyperparameters.vector, prior)
        ends = [likelihood.minimise(prior, start, 50)[1] for start in likelihood.starts()]
        assert reached <= min(ends) + 0.1


def waves_along_one_axis(count: int, axes: int = 20) -> Training:
    """Five waves along the first axis, a slope along all the others."""
    features = np.random.default_rng(5).random((count, axes))
    values = np.sin(10 * np.pi * features[:, 0]) + 0.5 * features[:, 1:].sum(axis=1)
    columns = Columns(np.arange(axes), np.ones(axes, dtype=bool))
    centre, scale = standardised(values)
    return Training(columns, features, (values - centre) / scale, Noise.none(count))


def test_waves_along_one_of_many_axes_are_told_from_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    known, unknown = waves_along_one_axis(150), waves_along_one_axis(250).some(np.arange(150, 250))

    def error() -> float:
        (process,) = fit_ensemble([known], families_for(20), 1)
        difference = process.predict(unknown.features)[0] - unknown.values
        return float(np.sqrt(np.mean(difference**2)))

    assert error() < 0.3
    monkeypatch.setattr(Likelihood, "one_axis_short", lambda *_: None)
    assert error() > 0.5


def test_no_axis_is_taken_to_be_short_where_none_is() -> None:
    likelihood = Likelihood(families_for(20)[0], training(20, 40))
    prior = Prior.of(likelihood.family, likelihood.training.columns)
    plain, noisy = (likelihood.minimise(prior, start, 50)[0] for start in likelihood.starts())
    assert likelihood.one_axis_short(prior, noisy, plain) is None
