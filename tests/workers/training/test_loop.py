import pytest

from search_spaces.arm import Arm
from search_spaces.recipe import (
    ArmInfeasible,
    CurvePoint,
    Estimate,
    TrainedNetwork,
    TrainingContext,
)
from workers.errors import WallClockLimitReached
from workers.training.loop import run_training

ARM = Arm(parameters={"width": 3})


class Recipe:
    """Gives the points it was made with, then the metrics; remembers how it was left."""

    def __init__(self, points, metrics=None, error=None):
        self.points = points
        self.metrics = metrics or {"error": Estimate(0.5)}
        self.error = error
        self.given = 0
        self.was_closed = False

    def train(self, arm, context):
        try:
            for step, value in enumerate(self.points, start=1):
                self.given += 1
                yield CurvePoint(step, {"loss": value})
            if self.error:
                raise self.error
            return TrainedNetwork("network", self.metrics)
        except GeneratorExit:
            self.was_closed = True
            raise


@pytest.fixture
def context(tmp_path):
    return TrainingContext(seed=1, cache_folder=tmp_path, work_folder=tmp_path)


def run(recipe, context, **changes):
    seen = []
    options = {"on_point": seen.append, "stop_requested": lambda: False} | changes
    return run_training(recipe, ARM, context, **options), seen


def test_it_follows_the_recipe_to_its_end(context):
    end, seen = run(Recipe([3.0, 2.0, 1.0]), context)
    assert [point.metrics["loss"] for point in seen] == [3.0, 2.0, 1.0]
    assert end.trained.network == "network"
    assert end.steps == 3
    assert end.last_point == seen[-1]


def test_a_recipe_without_points_is_fine(context):
    end, seen = run(Recipe([]), context)
    assert seen == []
    assert end.steps == 0
    assert end.trained is not None


def test_a_stop_takes_effect_between_two_points(context):
    recipe = Recipe([3.0, 2.0, 1.0])
    seen = []
    end, _ = run(recipe, context, on_point=seen.append, stop_requested=lambda: len(seen) == 2)
    assert end.trained is None
    assert end.last_point.step == 2
    assert recipe.given == 2
    assert recipe.was_closed


def test_the_newest_value_of_each_metric_is_kept(context):
    class Sparse(Recipe):
        def train(self, arm, context):
            yield CurvePoint(10, {"loss": 3.0, "error": 0.9})
            yield CurvePoint(20, {"loss": 2.0})
            return TrainedNetwork("network", self.metrics)

    end, _ = run(Sparse([]), context)
    assert end.latest == {"loss": (20, 2.0), "error": (10, 0.9)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_curve_that_diverges_makes_the_arm_infeasible(context, value):
    recipe = Recipe([1.0, value, 1.0])
    seen = []
    with pytest.raises(ArmInfeasible, match=r"loss is (nan|inf|-inf) after 2 steps"):
        run(recipe, context, on_point=seen.append)
    assert len(seen) == 1  # what is not finite is never passed on
    assert recipe.was_closed


def test_a_result_that_is_not_finite_makes_the_arm_infeasible(context):
    with pytest.raises(ArmInfeasible, match="error is nan at the end"):
        run(Recipe([1.0], metrics={"error": Estimate(float("nan"))}), context)


def test_the_recipes_own_errors_come_through(context):
    with pytest.raises(ZeroDivisionError):
        run(Recipe([1.0], error=ZeroDivisionError()), context)


def test_training_beyond_its_limit_ends_between_two_points(context):
    now_s = iter([0.0, 4.0, 8.0, 12.0, 16.0])
    recipe = Recipe([1.0] * 4)
    with pytest.raises(WallClockLimitReached, match=r"12 s up to step 3.*wall_clock_limit_s = 10"):
        run(recipe, context, wall_clock_limit_s=10.0, clock_s=lambda: next(now_s))
    assert recipe.given == 3
    assert recipe.was_closed
