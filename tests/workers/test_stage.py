"""What a stage makes of an order, in this process: every way in which a stage can end."""

import importlib
import json

import pytest
import torch

from search_spaces import registry
from tests.workers.grants import make_grant
from workers.stage import perform, run_order
from workers.stage_order import StageOrder
from workers.stage_result import STAGE_RESULT, StageCompleted, StageFailed, StageInfeasible


@pytest.fixture(autouse=True)
def installed(stranger_package, monkeypatch):
    """The stranger's package is installed in this process too."""
    monkeypatch.syspath_prepend(str(stranger_package))
    importlib.invalidate_caches()
    registry.installed_registry.cache_clear()
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    registry.installed_registry.cache_clear()


@pytest.fixture
def order(tmp_path):
    def make(parameters=None, **changes):
        made = StageOrder(
            grant=make_grant(parameters, **changes),
            work_folder=tmp_path / "work",
            cache_folder=tmp_path / "cache",
        )
        made.folder.create()
        return made

    return make


def test_training_gives_the_spaces_metrics_weights_and_a_curve(order):
    made = order({"steps": 30})
    completed = perform(made)
    assert isinstance(completed, StageCompleted)
    points = [json.loads(line) for line in made.folder.curve.read_text().splitlines()]
    assert [point["step"] for point in points] == list(range(1, 31))
    error = completed.measurements["error"]
    assert error.mean == points[-1]["metrics"]["error"] < points[0]["metrics"]["error"]
    assert (error.n, error.unit, error.sem) == (64, "1", None)
    assert error.protocol["steps"] == 30
    assert error.protocol["threads"] == torch.get_num_threads() == 1
    assert completed.files[0].path.read_bytes()


def test_equal_seeds_give_equal_weights_and_others_do_not(order):
    weights = [perform(order(seed=seed)).files[0].path.read_bytes() for seed in (3, 3, 4)]
    assert weights[0] == weights[1] != weights[2]


def test_an_experiments_steps_are_kept(order):
    completed = perform(order({"steps": 1_000}, training={"max_steps": 2}))
    assert completed.measurements["error"].protocol["steps"] == 2


@pytest.mark.parametrize(
    ("behaviour", "fault", "words", "detail"),
    [
        ("memory_error", "machine", "MemoryError", "in _misbehave"),
        ("raise", "recipe", "KeyError: 'lost'", "in _misbehave"),
        ("exit", "recipe", "SystemExit: 3", "in _misbehave"),
        ("other_metric", "recipe", "not declared: other", "in to_measurements"),
        ("missing_module", "recipe", "hassil_that_is_not_there", "in _misbehave"),
    ],
)
def test_an_error_is_laid_at_the_right_door(order, capfd, behaviour, fault, words, detail):
    failed = perform(order({"behaviour": behaviour}))
    assert isinstance(failed, StageFailed)
    assert failed.fault == fault
    assert words in failed.message
    assert detail in failed.detail
    assert detail in capfd.readouterr().err  # the log shows it too


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("refuse", "width 3 does not fit"),
        ("diverge", "error is inf after 3 steps"),
        ("non_finite", "error is nan at the end"),
    ],
)
def test_an_arm_at_fault_is_infeasible(order, behaviour, words):
    infeasible = perform(order({"behaviour": behaviour}))
    assert isinstance(infeasible, StageInfeasible)
    assert words in infeasible.reason


def test_a_space_that_is_not_installed_is_not_the_recipes_fault(order):
    failed = perform(order(search_space={"name": "tiny", "version": 2}))
    assert failed.fault == "machine"
    assert "version 1, not 2" in failed.message


def broken_off(make, steps=20):
    """The state that a training of 30 steps has left after `steps`, as its folder's `earlier`."""
    made = make({"steps": steps}, training={"checkpoint_interval_s": 1e-9})
    perform(made)
    _, state = made.folder.newest_checkpoint()
    return state.read_bytes()


def test_training_goes_on_from_an_earlier_attempts_state(order, monkeypatch):
    monkeypatch.setattr("search_spaces.arm.Arm.signature", "the same arm")  # but for its steps
    whole = perform(order({"steps": 30}))
    state = broken_off(order)
    made = order({"steps": 30})
    made.folder.earlier.write_bytes(state)
    completed = perform(made)
    assert made.folder.resumed.read_text() == "20"
    assert completed.measurements == whole.measurements
    points = [json.loads(line)["step"] for line in made.folder.curve.read_text().splitlines()]
    assert points == list(range(1, 31))


def test_another_arms_state_is_refused(order, capsys):
    state = broken_off(order)
    made = order({"steps": 30})
    made.folder.earlier.write_bytes(state)
    assert isinstance(perform(made), StageCompleted)
    assert not made.folder.resumed.exists()
    assert "refused, training starts anew. It is of another training" in capsys.readouterr().out


def test_a_state_that_the_recipe_cannot_use_costs_only_the_state(order, monkeypatch, capsys):
    monkeypatch.setattr("search_spaces.arm.Arm.signature", "the same arm")
    whole = perform(order({"steps": 30}))
    state = broken_off(order)
    made = order({"steps": 30})
    made.folder.earlier.write_bytes(state.replace(b"optimizer", b"0ptimizer"))
    completed = perform(made)
    assert "refused, training starts anew. The recipe cannot" in capsys.readouterr().out
    assert completed.measurements == whole.measurements
    points = [json.loads(line)["step"] for line in made.folder.curve.read_text().splitlines()]
    assert points == list(range(1, 31))


def test_without_an_interval_no_state_is_kept(order):
    made = order(training={"checkpoint_interval_s": None})
    made.folder.keep_flag.touch()
    perform(made)
    assert made.folder.newest_checkpoint() is None


def test_training_beyond_its_wall_clock_fails_and_names_the_limit(order):
    failed = perform(
        order({"steps": 100_000, "step_s": 0.02}, training={"wall_clock_limit_s": 0.3})
    )
    assert failed.fault == "recipe"
    assert "training.wall_clock_limit_s = 0.3" in failed.message


def test_a_stop_gives_the_last_points_metrics_and_no_weights(order):
    made = order({"steps": 100_000})
    made.folder.stop_flag.touch()
    completed = perform(made)
    assert completed.early_stopped
    assert completed.files == ()
    assert completed.measurements["error"].protocol["steps"] == 1
    assert completed.measurements["error"].protocol["early_stopped"] is True


def test_measuring_without_weights_is_not_the_recipes_fault(order):
    failed = perform(order(stage="measure", stage_kind="measure"))
    assert failed.fault == "machine"
    assert "network.safetensors" in failed.message


def test_a_kind_of_stage_that_no_worker_has_is_handed_back(order):
    failed = perform(order(stage="external", stage_kind="external"))
    assert failed.fault == "machine"
    assert "'external'" in failed.message


def test_the_result_is_written_whole_and_can_be_read_back(order, monkeypatch):
    monkeypatch.setattr("faulthandler.enable", lambda: None)  # pytest has its own
    made = order()
    made.folder.order.write_text(made.model_dump_json())
    run_order(made.folder.order)
    result = STAGE_RESULT.validate_json(made.folder.result.read_bytes())
    assert isinstance(result, StageCompleted)
    assert result.environment["packages"]["torch"] == torch.__version__
    assert [path.name for path in made.folder.path.glob(".*")] == []
