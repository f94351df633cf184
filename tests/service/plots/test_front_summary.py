from service.domain.observed_front import observe_front, trace_hypervolume
from service.plots.front_summary import (
    describe_trials,
    explain_front_chart,
    explain_hypervolume_chart,
    explain_predicted_front,
    explain_reference,
    explain_stop,
    summarize_front,
)
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import make_experiment, make_front, trials_at


def front_at(*points, **experiment):
    return observe_front(make_experiment(**experiment), trials_at(*points), 10)


def test_the_bests_are_named_with_their_trials():
    assert summarize_front(front_at((0.1, 9), (0.5, 1), (0.6, 9))) == (
        "2 of 3 trials stand on the front: lowest frame_error 0.1 (trial 0); "
        "lowest latency_ms 1 ms (trial 1)."
    )
    assert summarize_front(front_at((0.1, 9))).startswith("1 of 1 trials stands on the front")


def test_empty_fronts_say_why():
    assert summarize_front(front_at()) == "No completed trial yet."
    strict = front_at((0.1, 9), outcome_constraints=["latency_ms <= 1"])
    assert summarize_front(strict) == "None of the 1 measured trials meets the constraints yet."


def test_inferred_coordinates_are_named_so():
    objectives = (
        {"metric": "frame_error", "goal": "minimize", "threshold": 0.5},
        {"metric": "latency_ms", "goal": "minimize"},
    )
    assert explain_reference(front_at((0.1, 9), (0.2, 4), objectives=objectives)) == (
        "Hypervolume 1.7, measured from the reference point frame_error 0.5, "
        "latency_ms 9.5 ms (inferred)."
    )
    assert explain_reference(front_at()) == ""


def test_the_rule_that_ended_the_search_is_told():
    verdict = {"rule": "no_gain", "reason": "The last 9 trials added nothing."}
    assert explain_stop(front_at((0.1, 9))) == ""
    assert explain_stop(front_at((0.1, 9), stopped_by=verdict)) == (
        "The search ended by its stop rule no_gain. The last 9 trials added nothing."
    )


def test_standing_still_is_told():
    experiment = make_experiment()
    still = trace_hypervolume(experiment, trials_at((0.1, 1), (0.2, 2), (0.3, 3)))
    assert explain_hypervolume_chart(still).endswith("the last 2 trials added nothing to it.")
    growing = trace_hypervolume(experiment, trials_at((0.3, 1), (0.2, 2)))
    assert explain_hypervolume_chart(growing).endswith("the last completed trial added to it.")


def test_each_number_of_objectives_has_its_reading_help():
    names = ("frame_error", "latency_ms", "file_size_bytes")
    objectives = [{"metric": name, "goal": "minimize"} for name in names]
    helps = {explain_front_chart(make_front(objectives=objectives[:n])[0]) for n in (1, 2, 3)}
    assert len(helps) == 3


def test_the_model_s_word_comes_with_its_date_and_its_hopes():
    front, _ = make_predicted_front()
    assert explain_predicted_front(front) == (
        "What the model gp makes of 24 ended trials: values that it predicts, ± one standard "
        "deviation, and none that was measured. It expects the best next arm to raise the "
        "hypervolume by 1.23 %."
    )
    late = front.predicted.model_copy(
        update={"as_of_trials": 1, "newer_trials": 1, "relative_expected_gain": None}
    )
    said = explain_predicted_front(front.model_copy(update={"predicted": late}))
    assert "makes of 1 ended trial; 1 more has ended since:" in said
    assert "expects" not in said
    assert explain_predicted_front(make_front()[0]) == ""


def test_hollow_marks_are_explained_where_they_are_drawn():
    assert "Hollow squares" in explain_front_chart(make_predicted_front()[0])
    assert "Hollow squares" not in explain_front_chart(make_front()[0])


def test_arms_are_named_by_their_trials():
    assert describe_trials(()) == "never tried"
    assert describe_trials((3,)) == "trial 3"
    assert describe_trials((3, 9)) == "trials 3, 9"


def test_pooled_repeats_are_told():
    front = front_at((0.1, 9), (0.5, 1))
    point = front.front[0].model_copy(update={"replicates": (7, 8)})
    said = summarize_front(front.model_copy(update={"front": (point, front.front[1])}))
    assert said.startswith("2 of 2 trials stand on the front")
    assert said.endswith("2 more trials ran one of them again; their measurements are pooled.")
    assert "pooled" not in summarize_front(front)
