import re

from search_spaces.arm import Arm
from service.domain.front import FrontPoint
from service.domain.trial import TrialCost
from service.plots.front_tables import (
    arms_table,
    front_table,
    hypervolume_table,
    parameter_text,
    probability_text,
    split_parameters,
)
from service.plots.protocol_notes import protocol_table
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import make_front


def point(**parameters):
    return FrontPoint(
        trial_number=0,
        arm=Arm(parameters=parameters),
        measurements={},
        on_front=True,
        feasible=True,
    )


def rows(table):
    return re.findall(r"<tr.*?</tr>", table)


def cells(row):
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]


def test_the_front_has_a_row_per_trial_with_its_noise():
    front, _ = make_front(outcome_constraints=["file_size_bytes <= 5e5"])
    head, *body = rows(front_table(front))
    assert cells(head) == [
        "trial",
        "frame_errorlower is better",
        "latency_ms[ms], lower is better",
        "file_size_bytes[B], ≤ 500,000",
    ]
    assert [cells(row)[0] for row in body] == [str(p.trial_number) for p in front.front]
    assert " ± 0.010" in body[0]


def test_the_front_says_what_its_trials_cost():
    front, _ = make_front()
    costs = [
        TrialCost(spent_s={"train": 58.2, "measure": 18.5}),
        TrialCost(spent_s={"train": 0.0, "measure": 4.1}, shared_with=7),
    ]
    paid = [
        point.model_copy(update={"cost": cost})
        for point, cost in zip(front.front, costs, strict=False)
    ]
    rest = front.front[len(paid) :]
    head, *body = rows(front_table(front.model_copy(update={"front": (*paid, *rest)})))
    assert cells(head)[-1] == "costh:min:s of all attempts"
    assert cells(body[0])[-1] == "1:17"
    assert cells(body[1])[-1] == "0:04 trained by 7"
    assert all(cells(row)[-1] == "\N{EN DASH}" for row in body[2:])


def test_tables_can_be_reached_by_keyboard():
    front, trace = make_front()
    for table in (front_table(front), hypervolume_table(trace), arms_table(front)):
        assert 'tabindex="0"' in table
        assert 'scope="row"' in table


def test_each_trial_s_link_leads_to_its_arm():
    front, _ = make_front()
    links = re.findall(r'href="#(arm-\d+)"', front_table(front))
    assert links
    assert links == re.findall(r'id="(arm-\d+)"', arms_table(front))


def test_the_trace_s_table_lists_what_raised_it_newest_first():
    _, trace = make_front()
    _, *body = rows(hypervolume_table(trace))
    volumes = [p.hypervolume for p in trace.points]
    raised = [p for n, p in enumerate(trace.points) if p.hypervolume > max([0, *volumes[:n]])]
    assert [cells(row)[0] for row in body] == [str(p.trial_number) for p in reversed(raised)]


def test_arms_show_what_varies():
    front, _ = make_front()
    table = arms_table(front)
    named = [cells(row)[0] for row in rows(table)]
    assert named[:5] == ["", "Objectives", "frame_error", "latency_ms [ms]", "Parameters"]
    assert "width" in named
    assert "activation" not in named
    assert "Further metrics" in named
    assert split_parameters(front.front)[1] == {"activation": "gelu"}


def test_an_inactive_parameter_varies_and_is_shown_as_absent():
    varying, same = split_parameters([point(a=1, b=2), point(a=1)])
    assert (varying, same) == (["b"], {"a": 1})
    assert parameter_text(None) == "\N{EN DASH}"
    assert parameter_text(True) == "yes"
    assert parameter_text(0.25) == "0.25"


def test_of_one_arm_every_parameter_is_shown():
    assert split_parameters([point(a=1, b=2)]) == (["a", "b"], {})


def test_protocols_are_told_once_for_metrics_taken_alike():
    front, _ = make_front()
    told = {tuple(cells(row)[0:1]): cells(row) for row in rows(protocol_table(front))}
    latency = told["latency_ms",]
    assert latency[1:3] == ["256", "known"]
    assert latency[3] == (
        f"runtime onnxruntime; threads 1; device.cpu 2 cores; "
        f"seed varies ({len(front.front)} values)"
    )
    assert told["frame_erroraccuracy",][1:] == ["2,000", "known", "not noted"]
    assert told["file_size_bytes",][2] == "unknown"


def test_the_probability_of_being_on_the_front_has_a_column_where_it_is_told():
    front, _ = make_predicted_front()
    assert "p(on front)" in front_table(front)
    assert "<td>1.00</td>" in front_table(front)
    assert "p(on front)" not in front_table(make_front()[0])
    assert probability_text(None) == "\N{EN DASH}"


def test_a_point_of_several_trials_names_them():
    front, _ = make_front()
    point = front.front[0].model_copy(update={"replicates": (30, 31)})
    table = front_table(front.model_copy(update={"front": (point, *front.front[1:])}))
    assert f">{point.trial_number}</a><small> with 30, 31</small></th>" in table
    assert "with" not in front_table(front)
