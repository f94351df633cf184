import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.language.depth_pruned_llm.evaluation import (
    Scores,
    forgetting,
    recovery_percent,
    right_share,
)
from search_spaces.recipe import Estimate


@given(st.integers(1, 1_000), st.data())
def test_a_share_always_has_noise(n, data):
    right = data.draw(st.integers(0, n))
    share = right_share(right, n)
    assert share.mean == right / n
    assert share.sem > 0
    assert share.n == n


def test_accuracies_are_over_the_tasks_that_are_named():
    scores = Scores(right={"copy": 10, "sort": 5, "next": 0}, per_task=10, perplexity=1.0)
    assert scores.accuracy().mean == pytest.approx(0.5)
    assert scores.accuracy(("sort", "next")).mean == pytest.approx(0.25)
    assert scores.accuracy(("sort",)).n == 10


def test_recovery_and_forgetting_are_against_the_unpruned():
    accuracy = Estimate(0.6, 0.02, 500)
    recovered = recovery_percent(accuracy, 0.8)
    assert (recovered.mean, recovered.sem) == (pytest.approx(75.0), pytest.approx(2.5))
    assert forgetting(accuracy, 0.8).mean == pytest.approx(0.2)
    assert forgetting(accuracy, 0.5).mean == pytest.approx(-0.1)


def test_of_a_model_that_knew_nothing_nothing_is_recovered():
    recovered = recovery_percent(Estimate(0.0, 0.01, 500), 0.0)
    assert recovered.mean == 0.0
    assert recovered.sem is None
    assert math.isfinite(recovered.mean)
