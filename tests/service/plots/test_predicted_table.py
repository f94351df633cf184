from search_spaces.arm import Arm
from service.plots.predicted_table import predicted_table
from tests.service.made_insights import make_predicted_front


def test_the_model_s_front_is_listed_with_what_tells_its_arms_apart():
    front, _ = make_predicted_front()
    table = predicted_table(front.predicted, front)
    assert table.count("never tried") == 3
    assert '<tr data-trial="6"><th scope="row">trial 6</th>' in table
    assert "9.2 ± 0.5" in table
    assert "<td>0.60</td>" in table
    assert "width = 608" in table
    same = tuple(
        one.model_copy(update={"arm": Arm(parameters=one.arm.parameters | {"activation": "<b>"})})
        for one in front.predicted.front
    )
    alike = predicted_table(front.predicted.model_copy(update={"front": same}), front)
    assert "activation" not in alike
