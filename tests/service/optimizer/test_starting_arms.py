"""Before the model: the middle first, then what earlier experiments found, then an even spread."""

from search_spaces.arm import Arm
from service.optimizer.optimizer import Source, SuggestRequest, find_optimizer
from service.optimizer.starting_arms import starting_arms
from tests.service.optimizer.test_gp import GOALS, SPACE, arms, completed, measured
from tests.service.optimizer.tricky_spaces import SPACES, objectives


def beginning(**more: object) -> SuggestRequest:
    given = {"space": SPACE, "objectives": GOALS, "initial_trials": 6, **more}
    return SuggestRequest.model_validate(given)


def test_the_middle_comes_first_and_never_again() -> None:
    request = beginning(count=3)
    first = starting_arms(request)
    assert first[0].arm == Arm(parameters={"x": 0.5, "y": 0.5})
    assert "middle" in first[0].note["why"]
    assert first[1].note["why"] == "Quasi-random: arm 2 of the first 6."
    pending = tuple(suggestion.arm for suggestion in first)
    rest = starting_arms(request.model_copy(update={"pending": pending, "count": 9}))
    assert len(rest) == 3
    assert not {one.arm.signature for one in rest} & {arm.signature for arm in pending}


def test_a_middle_that_is_illegal_is_left_out() -> None:
    request = SuggestRequest(
        space=SPACES["needle"], objectives=objectives(2), initial_trials=4, count=4
    )
    assert len(starting_arms(request)) == 4
    for suggestion in starting_arms(request):
        assert request.space.contains(suggestion.arm)


def test_the_front_of_an_earlier_experiment_comes_first() -> None:
    source = Source(name="phone", observations=tuple(completed(arm) for arm in arms(30)))
    found = starting_arms(beginning(sources=(source,), count=4))
    from_source = [one for one in found if "phone" in one.note["why"]]
    assert len(from_source) == 2  # a third of the six
    for one in from_source:
        assert measured(one.arm)["left"].mean ** 2 + measured(one.arm)["right"].mean ** 2 > 0.8


def test_auto_says_which_strategy_it_chose_and_why() -> None:
    request = beginning(observations=tuple(completed(arm) for arm in arms(6)))
    suggestion = find_optimizer("auto").suggest(request)[0]
    assert suggestion.source == "gp"
    assert "Strategy gp" in suggestion.note["why"]
    assert suggestion.note["expected_gain"] > 0
