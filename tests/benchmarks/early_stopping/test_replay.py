import pytest

from benchmarks.early_stopping.__main__ import main
from benchmarks.early_stopping.curves import read
from benchmarks.early_stopping.replay import Question, calibration, questions, replay
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from service.domain.early_stopping import EarlyStopping

RECORDED = read()


def test_the_recorded_arms_lie_in_the_search_space_and_ran_to_their_end():
    assert len(RECORDED) >= 30
    assert [trial.number for trial in RECORDED] == list(range(len(RECORDED)))
    for trial in RECORDED:
        assert SEARCH_SPACE.space.contains(trial.arm)
        steps = [point.step for point in trial.curve]
        assert steps == sorted(set(steps))
        assert len(steps) >= 20
        assert 0 < trial.measurements["frame_error"].mean < 1


@pytest.mark.parametrize("seed", range(2))
def test_it_saves_much_and_costs_next_to_nothing(seed):
    outcome = replay(RECORDED, EarlyStopping(probability_below=0.05), seed)
    assert outcome.steps_saved > 0.2
    assert outcome.hypervolume_lost < 0.01
    assert outcome == replay(RECORDED, EarlyStopping(probability_below=0.05), seed)


def test_a_bolder_bound_stops_no_less():
    timid, bold = (
        replay(RECORDED[:16], EarlyStopping(probability_below=bound, min_trials=5), 0)
        for bound in (0.001, 0.3)
    )
    assert bold.stopped > timid.stopped
    assert bold.steps_saved > timid.steps_saved


def test_nothing_is_stopped_while_too_few_have_ended():
    outcome = replay(RECORDED[:10], EarlyStopping(min_trials=10), 0)
    assert (outcome.stopped, outcome.steps_saved, outcome.hypervolume_lost) == (0, 0.0, 0.0)


def test_looks_are_counted_by_what_they_told():
    asked = [Question(0.0, False), Question(0.02, False), Question(0.03, True), Question(1.0, True)]
    assert calibration(asked) == [
        ("0 to 0.01", 1, 0.0, 0.0),
        ("0.01 to 0.05", 2, pytest.approx(0.025), 0.5),
        ("0.75 to 1", 1, 1.0, 1.0),
    ]


def test_those_told_to_be_hopeless_are():
    asked = [q for q in questions(RECORDED, 8, seed=0) if q.probability < 0.05]
    assert len(asked) > 50
    assert sum(question.joined for question in asked) / len(asked) < 0.05


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    out = tmp_path / "table.md"
    monkeypatch.setattr(
        "sys.argv", ["early_stopping", "replay", "--orders", "1", "--out", str(out)]
    )
    main()
    page = out.read_text()
    assert page in capsys.readouterr().out
    assert "| 0.05 | " in page
    assert f"{len(RECORDED)} arms" in page
