import pytest

from service.domain.requirements import Requirements

NEEDED = Requirements(labels={"site": "berlin"}, at_least={"gpu_memory_gib": 40})


@pytest.mark.parametrize(
    ("labels", "resources", "met"),
    [
        ({"site": "berlin", "rack": "2"}, {"gpu_memory_gib": 40.0}, True),
        ({"site": "berlin"}, {"gpu_memory_gib": 79.6}, True),
        ({"site": "berlin"}, {"gpu_memory_gib": 39.9}, False),
        ({"site": "berlin"}, {}, False),
        ({"site": "bonn"}, {"gpu_memory_gib": 80.0}, False),
        ({}, {"gpu_memory_gib": 80.0}, False),
    ],
)
def test_all_of_it_must_be_met(labels: dict, resources: dict, met: bool) -> None:
    assert NEEDED.met_by(labels, resources) == met


def test_nothing_required_is_met_by_anybody() -> None:
    assert Requirements().met_by({}, {})
    assert not str(Requirements())


def test_it_is_told_as_people_write_it() -> None:
    assert str(NEEDED) == "site=berlin, gpu_memory_gib >= 40"
