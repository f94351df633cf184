import pytest

from search_spaces import registry
from search_spaces.builtin import builtin_spaces
from search_spaces.registry import InstalledSpace, Registry, UnknownSearchSpace


@pytest.fixture
def nlu():
    return next(entry for entry in builtin_spaces() if entry.space.name == "nlu_encoder")


def test_finds_by_name_and_version(nlu):
    found = Registry([nlu]).find("nlu_encoder", nlu.space.version)
    assert found.space == nlu.space
    assert list(Registry([nlu])) == [nlu.space]


def test_loads_the_recipe_only_when_asked(nlu):
    def refuses():
        raise AssertionError("loaded")

    entry = Registry([InstalledSpace(nlu.space, refuses)]).find("nlu_encoder")
    with pytest.raises(AssertionError, match="loaded"):
        entry.load_recipe()


def test_an_unknown_name_gets_the_nearest(nlu):
    with pytest.raises(UnknownSearchSpace, match="did you mean 'nlu_encoder'"):
        Registry([nlu]).find("nlu_encodr")
    with pytest.raises(UnknownSearchSpace, match="installed: nlu_encoder"):
        Registry([nlu]).find("zzz")
    with pytest.raises(UnknownSearchSpace, match="installed: none"):
        Registry([]).find("nlu_encoder")


def test_another_version_is_refused_with_the_remedy(nlu):
    with pytest.raises(UnknownSearchSpace, match=r"in version \d+, not 999; install"):
        Registry([nlu]).find("nlu_encoder", 999)


def test_two_of_one_name_are_refused(nlu):
    with pytest.raises(ValueError, match="both provide the search space 'nlu_encoder'"):
        Registry([nlu, nlu])


def test_spaces_come_in_through_the_entry_points(monkeypatch, nlu):
    class Strangers:
        name = "strangers"

        def load(self):
            return lambda: [nlu]

    asked = []

    def entry_points(group):
        asked.append(group)
        return [Strangers()]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry.installed_registry.cache_clear()
    try:
        assert [space.name for space in registry.installed_registry()] == ["nlu_encoder"]
    finally:
        registry.installed_registry.cache_clear()
    assert asked == ["archfront.search_spaces"]
