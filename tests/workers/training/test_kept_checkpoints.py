"""When a training's state is kept, and how one goes on from it."""

import contextlib

import pytest
import torch

from search_spaces.arm import Arm
from search_spaces.recipe import CurvePoint, Estimate, TrainedNetwork, TrainingContext
from workers.errors import CheckpointUnusable, WallClockLimitReached
from workers.training.kept_checkpoints import CheckpointPlan
from workers.training.loop import run_training
from workers.work_folder import WorkFolder

ARM = Arm(parameters={})


class Clock:
    """Seconds that pass by the recipe's steps alone."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


class Walk:
    """A random walk of ten steps, one second each; a point every second step."""

    def __init__(self, clock, breaks_at=None, error=None):
        self.clock = clock
        self.breaks_at = breaks_at
        self.error = error
        self.steps = []

    def train(self, arm, context):
        torch.manual_seed(context.seed)
        place, done = torch.zeros(1), 0
        with context.checkpoints.restoring() as state:
            if state is not None:
                if self.error:
                    raise self.error
                place, done = state["place"], state["done"]
                torch.set_rng_state(state["random"])
        for step in range(done + 1, 11):
            if step == self.breaks_at:
                raise KeyboardInterrupt
            self.steps.append(step)
            self.clock.now_s += 1
            place += torch.randn(1)
            if step % 2 == 0:
                yield CurvePoint(step, {"place": place.item()})
            if context.checkpoints.is_due:
                state = {"place": place, "done": step, "random": torch.get_rng_state()}
                context.checkpoints.save(step, state)
        return TrainedNetwork("network", {"place": Estimate(place.item())})


@pytest.fixture
def folder(tmp_path):
    folder = WorkFolder(tmp_path / "work")
    folder.create()
    return folder


def run(recipe, folder, **changes):
    """The end, the points, and after how many steps it went on."""
    points, resumed = [], []
    plan = CheckpointPlan("walk", folder, changes.pop("interval_s", 3.0))
    context = TrainingContext(seed=1, cache_folder=folder.path, work_folder=folder.path)
    end = None
    with contextlib.suppress(KeyboardInterrupt):
        end = run_training(
            recipe,
            ARM,
            context,
            on_point=points.append,
            stop_requested=lambda: False,
            keeping=plan,
            on_resumed=resumed.append,
            clock_s=recipe.clock,
            **changes,
        )
    return end, points, resumed


def kept_steps(folder):
    return sorted(int(path.stem) for path in folder.checkpoints.iterdir())


def hand_over(folder):
    """The newest state lies before the next attempt."""
    _, path = folder.newest_checkpoint()
    path.rename(folder.earlier)


def test_state_is_kept_each_time_the_interval_is_over(folder):
    run(Walk(Clock()), folder)
    assert kept_steps(folder) == [3, 6, 9]
    assert folder.newest_checkpoint()[0] == 9


def test_state_is_kept_when_the_worker_asks(folder):
    folder.keep_flag.touch()
    run(Walk(Clock()), folder, interval_s=100.0)
    assert kept_steps(folder) == [1]
    assert not folder.keep_flag.exists()


@pytest.mark.parametrize("breaks_at", [4, 8, 10])
def test_a_training_gone_on_with_ends_as_if_it_had_never_been_broken_off(folder, breaks_at):
    whole, all_points, _ = run(Walk(Clock()), folder)
    folder.create()
    run(Walk(Clock(), breaks_at), folder)
    kept, _ = folder.newest_checkpoint()
    hand_over(folder)
    recipe = Walk(Clock())
    torch.randn(9)  # whatever was drawn before must not matter
    end, points, resumed = run(recipe, folder)
    assert resumed == [kept]
    assert recipe.steps == list(range(kept + 1, 11))
    assert points == all_points  # each once, also those of before
    assert end.trained.metrics == whole.trained.metrics
    assert end.latest == whole.latest


def test_the_time_before_the_checkpoint_counts(folder):
    run(Walk(Clock(), breaks_at=7), folder)
    hand_over(folder)
    with pytest.raises(WallClockLimitReached, match="8 s up to step 8"):
        run(Walk(Clock()), folder, wall_clock_limit_s=7.0)


def test_a_damaged_checkpoint_is_refused_and_training_starts_anew(folder, capsys):
    run(Walk(Clock(), breaks_at=7), folder)
    hand_over(folder)
    folder.earlier.write_bytes(folder.earlier.read_bytes()[:-3])
    recipe = Walk(Clock())
    _, _, resumed = run(recipe, folder)
    assert resumed == []
    assert recipe.steps == list(range(1, 11))
    assert "refused, training starts anew. It is damaged" in capsys.readouterr().out


def test_a_state_that_the_recipe_cannot_use_is_told_apart_from_its_own_errors(folder):
    run(Walk(Clock(), breaks_at=7), folder)
    hand_over(folder)
    with pytest.raises(CheckpointUnusable, match="cannot go on from it: KeyError: 'place'"):
        run(Walk(Clock(), error=KeyError("place")), folder)


def test_a_full_disk_costs_the_checkpoint_not_the_training(folder, monkeypatch, capsys):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("workers.training.kept_checkpoints.write_checkpoint", full)
    end, _, _ = run(Walk(Clock()), folder)
    assert end.trained is not None
    assert "No checkpoint at step 3: No space left on device" in capsys.readouterr().out
