from service.domain.insight import Prediction
from service.plots.predicted_marks import MAX_UNTRIED, predicted_groups
from tests.service.made_insights import make_predicted_front
from tests.service.made_trials import make_front

AXES = ("latency_ms", "frame_error")


def test_of_many_arms_never_tried_some_are_drawn_and_all_counted():
    front, _ = make_predicted_front()
    (untried, *_) = [one for one in front.predicted.front if not one.is_tried]
    many = tuple(
        untried.model_copy(
            update={"predictions": untried.predictions | {"latency_ms": Prediction(mean=n, sd=1)}}
        )
        for n in range(1, 38)
    )
    crowded = front.model_copy(
        update={"predicted": front.predicted.model_copy(update={"front": many})}
    )
    (group,) = predicted_groups(crowded, *AXES)
    assert (group.name, group.is_tried) == ("predicted, never tried (12 of 37)", False)
    assert len(group.marks) == MAX_UNTRIED
    assert (group.marks[0].x, group.marks[-1].x) == (1, 37)  # both ends are among them


def test_the_groups_are_named_with_their_counts():
    groups = predicted_groups(make_predicted_front()[0], *AXES)
    assert [group.name for group in groups] == ["predicted front (4)", "predicted, never tried (3)"]
    assert predicted_groups(make_front()[0], *AXES) == ()
