"""What becomes of a pool when the model answers: kept, replaced in place, or filled up."""

from collections.abc import Sequence

import pytest

from service.domain.trial import Trial, TrialStatus
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.schemas.leases import FailRequest
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.events import Event, events_after
from service.storage.experiments import find_experiment
from service.storage.invariants import check_invariants
from service.storage.trials import find_trial, trials_of_experiment
from service.use_cases.attach_trial import attach_trial
from service.use_cases.candidate_pool import pools_in_need
from service.use_cases.record_report import record_failure
from service.use_cases.requeue_trial import requeue_trial
from service.use_cases.steer_experiment import pause, resume
from service.use_cases.stop_trial import stop_trial
from service.use_cases.top_up_candidates import (
    PoolChange,
    add_candidates,
    renew_pool,
    suggestion_request,
)
from tests.service.toy_experiments import (
    completed,
    created,
    registered,
    suggestion,
    surely_claimed,
    topped_up,
    worker_spec,
)

NOTHING = PoolChange((), (), ())


@pytest.fixture
def database(clocked_database: Database) -> Database:
    return clocked_database


def from_model(*widths: int) -> list[Suggestion]:
    return [
        suggestion(width).model_copy(update={"source": "ax", "note": {"place": place}})
        for place, width in enumerate(widths)
    ]


class Search:
    """An experiment past its initial trials: two completed, and a pool of three."""

    def __init__(self, database: Database, **optimizer: object) -> None:
        self.database = database
        given = {"initial_trials": 2, "pool_size": 3} | optimizer
        spec = worker_spec(budget=9, max_parallel=9, optimizer=given)
        self.id = created(database, spec)
        self.worker = registered(database, slots=9)
        topped_up(database, self.id, 1, 2)
        for _ in range(2):
            self.finish_next()
        topped_up(database, self.id, 11, 12, 13)

    def finish_next(self) -> None:
        completed(self.database, surely_claimed(self.database, self.worker))
        completed(self.database, surely_claimed(self.database, self.worker))

    def request(self) -> SuggestRequest | None:
        with self.database.read() as connection:
            return suggestion_request(connection, self.id)

    def outdated(self) -> SuggestRequest:
        """A result comes in; what to ask the model now."""
        self.finish_next()
        request = self.request()
        assert request is not None
        return request

    def renew(self, request: SuggestRequest, suggestions: Sequence[Suggestion]) -> PoolChange:
        with self.database.write() as connection:
            return renew_pool(connection, self.id, request, suggestions)

    def trials(self) -> list[Trial]:
        with self.database.read() as connection:
            assert check_invariants(connection) == []
            return trials_of_experiment(connection, self.id)

    def widths(self) -> dict[int, int]:
        """The width of each candidate by its number."""
        return {
            trial.number: int(trial.arm.parameters["width"])
            for trial in self.trials()
            if trial.status is TrialStatus.CANDIDATE
        }

    def claimed_widths(self, count: int) -> list[int]:
        grants = [surely_claimed(self.database, self.worker) for _ in range(count)]
        return [int(grant.arm.parameters["width"]) for grant in grants]

    def events(self, kind: str) -> list[Event]:
        with self.database.read() as connection:
            return [event for event in events_after(connection, 0, limit=999) if event.kind == kind]

    def trials_created(self) -> int:
        with self.database.read() as connection:
            return find_experiment(connection, self.id).trials_created


@pytest.fixture
def search(database: Database) -> Search:
    return Search(database)


def widths_of(arms: Sequence[object]) -> list[int]:
    return [arm.parameters["width"] for arm in arms]  # type: ignore[attr-defined]


def test_a_full_pool_needs_nothing_until_a_result_comes_in(search: Search) -> None:
    assert search.request() is None
    with search.database.read() as connection:
        assert pools_in_need(connection) == []
    surely_claimed(search.database, search.worker)
    with search.database.read() as connection:
        (need,) = pools_in_need(connection)
    assert (need.is_short, need.is_empty) == (True, False)
    request = search.request()
    assert request is not None
    assert request.replaceable == ()
    assert request.count == 1
    assert widths_of(request.pending) == [11, 12, 13]


def test_after_a_result_the_unclaimed_ones_are_open_to_change(search: Search) -> None:
    request = search.outdated()
    assert widths_of(request.replaceable) == [12, 13]
    assert request.pending == ()
    assert len(request.observations) == 3
    assert request.count == 3  # these two, and the one that was taken


def test_an_arm_named_again_is_kept_and_the_others_are_replaced_in_place(search: Search) -> None:
    request = search.outdated()
    change = search.renew(request, from_model(21, 13, 22))
    assert change == PoolChange(added=(5,), replaced=(3,), kept=(4,))
    assert search.widths() == {3: 21, 4: 13, 5: 22}
    trials = search.trials()
    assert [trial.source for trial in trials[3:]] == ["ax"] * 3
    assert [trial.note for trial in trials[3:]] == [{"place": 0}, {"place": 1}, {"place": 2}]
    assert search.trials_created() == 6
    (event,) = search.events("candidate_replaced")
    assert event.trial_number == 3
    assert event.data["was"]["parameters"]["width"] == 12
    (ranked,) = search.events("pool_ranked")
    assert ranked.data == {"observations": 3, "added": [5], "replaced": [3], "kept": [4]}
    assert search.request() is None


def test_the_best_is_claimed_first_whatever_its_number(search: Search) -> None:
    search.renew(search.outdated(), from_model(13, 22, 12))
    assert search.claimed_widths(3) == [13, 22, 12]


def test_what_comes_on_top_is_claimed_after_what_stands_there(search: Search) -> None:
    search.renew(search.outdated(), from_model(13, 22, 12))
    assert search.claimed_widths(1) == [13]
    request = search.request()
    assert request is not None
    assert search.renew(request, from_model(31)).added == (6,)
    assert search.claimed_widths(3) == [22, 12, 31]


def test_what_was_claimed_since_the_question_is_left_alone(search: Search) -> None:
    request = search.outdated()
    assert search.claimed_widths(1) == [12]
    change = search.renew(request, from_model(21, 12, 13))
    assert change == PoolChange(added=(5,), replaced=(), kept=(4,))
    assert search.widths() == {4: 13, 5: 21}
    with search.database.read() as connection:
        assert find_trial(connection, search.id, 3).arm.parameters["width"] == 12


def test_the_same_answer_twice_changes_nothing_more(search: Search) -> None:
    request = search.outdated()
    search.renew(request, from_model(21, 13, 22))
    before = search.widths()
    again = search.renew(request, from_model(21, 13, 22))
    assert (again.added, again.replaced) == ((), ())
    assert search.widths() == before


def test_an_older_answer_does_not_undo_a_newer_one(search: Search) -> None:
    older = search.outdated()
    newer = search.outdated()
    assert len(newer.observations) == 4
    search.renew(newer, from_model(13, 31, 32))
    late = search.renew(older, from_model(21, 22, 23))
    assert (late.replaced, late.kept) == ((), ())
    assert search.widths() == {4: 13, 5: 31, 6: 32}


def test_fewer_arms_than_places_leave_the_rest_standing_and_last(search: Search) -> None:
    request = search.outdated()
    assert search.renew(request, from_model(13)) == PoolChange((), (), (4,))
    assert search.widths() == {3: 12, 4: 13}
    short = search.request()
    assert short is not None
    assert short.replaceable == ()  # the model has had its say under these results
    assert search.claimed_widths(2) == [13, 12]


def test_an_arm_that_another_trial_has_replaces_nothing(search: Search) -> None:
    request = search.outdated()
    assert search.renew(request, from_model(1, 11, 13)) == PoolChange((), (), (4,))
    assert search.widths() == {3: 12, 4: 13}


def test_an_arm_chosen_by_hand_stays(search: Search) -> None:
    with search.database.write() as connection:
        by_hand = AttachRequest(parameters=suggestion(77).arm.parameters)
        attach_trial(connection, search.id, by_hand)
    search.finish_next()
    with search.database.write() as connection:
        by_hand = AttachRequest(parameters=suggestion(78).arm.parameters)
        attach_trial(connection, search.id, by_hand)
    request = search.request()
    assert request is not None
    assert widths_of(request.replaceable) == [11, 12, 13]
    assert widths_of(request.pending) == [78]
    assert search.renew(request, from_model(21, 22, 23)).replaced == (2, 3, 4)
    assert search.widths() == {2: 21, 3: 22, 4: 23, 6: 78}


@pytest.mark.parametrize("was_begun", [True, False])
def test_a_requeued_trial_stays_and_goes_first(search: Search, was_begun: bool) -> None:
    number = 2 if was_begun else 3
    if was_begun:
        grant = surely_claimed(search.database, search.worker)
        with search.database.write() as connection:
            fault = FailRequest(epoch=1, fault="recipe", message="broke")
            record_failure(connection, grant.lease_id, fault)
    else:
        with search.database.write() as connection:
            stop_trial(connection, search.id, number, "not now")
    with search.database.write() as connection:
        requeue_trial(connection, search.id, number)
    stands_in_the_way = [12, 13] if was_begun else [11, 13]
    search.finish_next()
    assert search.trials()[number].status is TrialStatus.COMPLETED
    request = search.request()
    assert request is not None
    assert widths_of(request.replaceable) == stands_in_the_way


def test_initial_candidates_stay_until_they_are_used_up(database: Database) -> None:
    search = Search(database, initial_trials=4)
    request = search.outdated()
    # Of 12 and 13 the first is the last of the four initial ones.
    assert widths_of(request.replaceable) == [13]
    assert widths_of(request.pending) == [12]


@pytest.mark.parametrize("strategy", ["sobol", "random"])
def test_without_a_model_nothing_is_ranked_anew(database: Database, strategy: str) -> None:
    search = Search(database, strategy=strategy)
    request = search.outdated()
    assert request.replaceable == ()
    assert request.count == 1
    assert widths_of(request.pending) == [12, 13]


def test_stand_ins_are_claimed_last_and_open_to_change_at_once(search: Search) -> None:
    surely_claimed(search.database, search.worker)
    stand_in = [suggestion(91).model_copy(update={"source": "fallback"})]
    with search.database.write() as connection:
        assert len(add_candidates(connection, search.id, stand_in, stand_in=True)) == 1
    request = search.request()
    assert request is not None
    assert widths_of(request.replaceable) == [12, 13, 91]
    search.renew(request, from_model(12, 13, 31))
    assert search.widths() == {3: 12, 4: 13, 5: 31}


def test_a_paused_search_keeps_its_pool_as_it_is(search: Search) -> None:
    request = search.outdated()
    with search.database.write() as connection:
        pause(connection, search.id)
    assert search.request() is None
    assert search.renew(request, from_model(21, 22, 23)) == NOTHING
    assert search.widths() == {3: 12, 4: 13}
    with search.database.write() as connection:
        resume(connection, search.id)
    assert search.request() == request


def test_a_spent_budget_still_lets_the_last_candidates_be_replaced(search: Search) -> None:
    search.finish_next()
    topped_up(search.database, search.id, 14)
    for _ in range(2):
        search.finish_next()
        topped_up(search.database, search.id, *range(50, 60))
    assert search.trials_created() == 8
    topped_up(search.database, search.id, *range(60, 70))
    search.finish_next()
    topped_up(search.database, search.id, *range(70, 80))
    assert search.trials_created() == 9
    request = search.request()
    assert request is not None
    assert request.count == len(request.replaceable) == len(search.widths())
    change = search.renew(request, from_model(901, 902, 903, 904))
    assert change.added == ()
    assert len(change.replaced) == request.count
    assert search.trials_created() == 9
