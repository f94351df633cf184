"""Random histories of claims, heartbeats, reports, expiry, restarts and steering.

After every step the database must agree with a model that restates the rules, and every
invariant must hold.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from service.domain.errors import BudgetExhausted, LeaseLost, TransitionRefused
from service.schemas.leases import CompleteRequest, FailRequest, Heartbeat, InfeasibleRequest
from service.schemas.trials import AttachRequest
from service.storage.database import Database
from service.storage.invariants import check_invariants
from service.storage.tables import metadata
from service.use_cases.attach_trial import attach_trial
from service.use_cases.lease_trial import lease_trial
from service.use_cases.list_trials import all_trials
from service.use_cases.read_experiment import read_experiment
from service.use_cases.reap_leases import extend_live_leases, reap_leases
from service.use_cases.record_report import record_complete, record_failure, record_infeasible
from service.use_cases.renew_lease import renew_lease
from service.use_cases.requeue_trial import requeue_trial
from service.use_cases.steer_experiment import pause, raise_budget, resume, stop
from service.use_cases.stop_trial import stop_trial
from service.use_cases.top_up_candidates import add_candidates, suggestion_request
from tests.conftest import FakeClock, FreshDatabases
from tests.service.toy_experiments import (
    BOTH_TOY_SPACES,
    TIMES,
    created,
    registered,
    suggestion,
    worker_spec,
)
from tests.service.use_cases.lease_model import (
    FINAL,
    MEASURED_FIRST,
    TRAINED_FIRST,
    TTL_S,
    ModelExperiment,
    ModelLease,
    ModelTrial,
)

_OUTCOME_OF_FAULT = {"machine": "machine_failed", "recipe": "failed", "preempted": "preempted"}
_WORKERS = ("anna", "bert")
_PICK = st.integers(0, 10_000)
_WEIGHTS = {
    "pause": 1,
    "resume": 2,
    "raise_budget": 2,
    "stop_trial": 2,
    "requeue": 3,
    "attach": 1,
    "stop": 1,
}
_WISHES = [wish for wish, weight in _WEIGHTS.items() for _ in range(weight)]


class LeaseMachine(RuleBasedStateMachine):
    """Drives one experiment and two workers on one device."""

    make_url: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.url = type(self).make_url()
        self.database = Database(self.url, clock=self.clock)
        self.width = 0

    @initialize(
        budget=st.integers(2, 9),
        max_parallel=st.integers(1, 5),
        max_attempts=st.integers(1, 3),
        slots=st.integers(1, 3),
        kinds=st.sampled_from([TRAINED_FIRST, MEASURED_FIRST]),
    )
    def begin(
        self,
        budget: int,
        max_parallel: int,
        max_attempts: int,
        slots: int,
        kinds: tuple[str, str],
    ) -> None:
        spec = worker_spec(
            budget=budget,
            max_parallel=max_parallel,
            max_attempts=max_attempts,
            search_space="quick-toy" if kinds == MEASURED_FIRST else "toy",
        )
        self.experiment_id = created(self.database, spec)
        self.worker_ids = {
            name: registered(
                self.database,
                name,
                device="shared",
                slots=slots,
                search_spaces=BOTH_TOY_SPACES,
            )
            for name in _WORKERS
        }
        self.model = ModelExperiment(
            budget, max_parallel, max_attempts, dict.fromkeys(_WORKERS, slots), kinds
        )

    def teardown(self) -> None:
        self.database.dispose()

    # --- what a rule acts on

    def some_lease(self, pick: int) -> ModelLease:
        """Mostly an open one, sometimes one of the past."""
        leases = self.model.open_leases() if pick % 4 else []
        leases = leases or list(self.model.leases.values())
        return leases[pick % len(leases)]

    def some_trial(self, pick: int) -> ModelTrial:
        return self.model.trials[pick % len(self.model.trials)]

    def snapshot(self) -> dict[str, list]:
        with self.database.read() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for table in metadata.sorted_tables
            }

    def refused(self, error: type[Exception], deed: Callable[..., object], *args: object) -> None:
        """The deed raises and leaves every row as it was."""
        before = self.snapshot()
        with pytest.raises(error), self.database.write() as connection:
            deed(connection, *args)
        assert self.snapshot() == before

    # --- suggesters and workers

    # Rules are drawn evenly: the ordinary way of a trial has more of them than a person's
    # wishes, which are all in one, or few trials would get anywhere.

    @rule(count=st.integers(1, 4))
    def top_up(self, count: int) -> None:
        room = self.model.room()
        with self.database.read() as connection:
            request = suggestion_request(connection, self.experiment_id)
        # Once results teach the model, it is also asked about candidates that stand there already.
        lacking = request.count - len(request.replaceable) if request else 0
        assert lacking == room
        self.width += count
        suggestions = [suggestion(self.width - i) for i in range(count)]
        with self.database.write() as connection:
            added = add_candidates(connection, self.experiment_id, suggestions)
        for trial in added:
            self.model.trials.append(ModelTrial(trial.number))
        assert len(added) == min(room, count)

    @rule(worker=st.sampled_from(_WORKERS))
    def top_up_and_claim(self, worker: str) -> None:
        self.top_up(4)
        self.claims(worker)

    @rule()
    def claim_all(self) -> None:
        for worker in _WORKERS:
            while self.claims(worker):
                pass

    @rule(worker=st.sampled_from(_WORKERS))
    def claim(self, worker: str) -> None:
        self.claims(worker)

    def claims(self, worker: str) -> bool:
        expected = self.model.next_claim(worker)
        with self.database.write() as connection:
            grant = lease_trial(connection, self.worker_ids[worker], TIMES)
        if expected is None or grant is None:
            assert (expected, grant) == (None, None)
            return False
        trial, stage = expected
        assert (grant.trial_number, grant.stage_kind) == (trial.number, self.model.kinds[stage])
        assert grant.epoch == trial.epochs[stage] + 1
        expires_s = self.model.now_s + TTL_S
        self.model.claimed(ModelLease(grant.lease_id, trial, stage, grant.epoch, worker, expires_s))
        return True

    @precondition(lambda self: self.model.open_leases())
    @rule(pick=_PICK)
    def complete(self, pick: int) -> None:
        self.report_result(pick | 1, "complete")

    @precondition(lambda self: self.model.open_leases())
    @rule(pick=_PICK)
    def complete_and_go_on(self, pick: int) -> None:
        self.report_result(pick | 1, "complete")
        self.claim_all()

    @precondition(lambda self: self.model.leases)
    @rule(pick=_PICK)
    def heartbeat(self, pick: int) -> None:
        lease = self.some_lease(pick)
        beat = Heartbeat(epoch=lease.epoch)
        if lease.outcome not in (None, "cancelled"):
            self.refused(LeaseLost, renew_lease, lease.id, beat, TIMES)
            return
        command = "cancel" if lease.outcome else lease.trial.stop or "continue"
        with self.database.write() as connection:
            reply = renew_lease(connection, lease.id, beat, TIMES)
        assert reply.command == command
        if lease.outcome is None:
            lease.expires_s = max(lease.expires_s, self.model.now_s + TTL_S)
            if command == "cancel":
                self.model.cancelled(lease)

    @precondition(lambda self: self.model.leases)
    @rule(pick=_PICK, how=st.sampled_from(["complete", "complete", "early", "infeasible"]))
    def report_result(self, pick: int, how: str) -> None:
        lease = self.some_lease(pick)
        kind = self.model.kinds[lease.stage]
        metric = {"error": 0.5} if kind == "train" else {"latency_ms": 3.0}
        if how == "infeasible":
            deed = record_infeasible
            request = InfeasibleRequest(epoch=lease.epoch, reason="diverged")
        else:
            deed = record_complete
            request = CompleteRequest.model_validate(
                {
                    "epoch": lease.epoch,
                    "measurements": metric,
                    "early_stopped": how == "early",
                }
            )
        if not self.reported(lease, deed, request):
            return
        if how == "complete":
            self.model.succeeded(lease)
        else:
            self.model.ended(lease, "infeasible" if how == "infeasible" else "early_stopped")

    @precondition(lambda self: self.model.leases)
    @rule(pick=_PICK, fault=st.sampled_from(sorted(_OUTCOME_OF_FAULT)))
    def report_failure(self, pick: int, fault: str) -> None:
        lease = self.some_lease(pick)
        request = FailRequest(epoch=lease.epoch, fault=fault, message="broke")
        if self.reported(lease, record_failure, request):
            self.model.without_result(lease, _OUTCOME_OF_FAULT[fault])

    def reported(self, lease: ModelLease, deed: Callable, request: object) -> bool:
        """Whether the report was news; a repetition is answered as it was."""
        if lease.outcome is not None and lease.report != request:
            self.refused(LeaseLost, deed, lease.id, request)
            return False
        before = self.snapshot() if lease.outcome is not None else None
        with self.database.write() as connection:
            reply = deed(connection, lease.id, request)
        if before is not None:
            assert reply == lease.reply
            assert self.snapshot() == before
            return False
        lease.report, lease.reply = request, reply
        return True

    @precondition(lambda self: self.model.leases)
    @rule(pick=_PICK, off=st.sampled_from([-1, 1, 7]))
    def report_under_another_epoch(self, pick: int, off: int) -> None:
        lease = self.some_lease(pick)
        epoch = lease.epoch + off
        request = FailRequest(epoch=epoch, fault="machine", message="of another epoch")
        self.refused(LeaseLost, record_failure, lease.id, request)
        self.refused(LeaseLost, renew_lease, lease.id, Heartbeat(epoch=epoch), TIMES)

    # --- time, the reaper and restarts

    @rule(seconds=st.sampled_from([1.0, 14.5, 30.0, 59.0, 60.0, 61.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.model.now_s += seconds

    @rule()
    def reap(self) -> None:
        with self.database.write() as connection:
            assert reap_leases(connection) == self.model.reap()

    @rule()
    def restart(self) -> None:
        self.database.dispose()
        self.database = Database(self.url, clock=self.clock)
        with self.database.write() as connection:
            extend_live_leases(connection, TIMES)
        self.model.extend()

    # --- a person

    @rule(
        wish=st.sampled_from(_WISHES),
        pick=_PICK,
    )
    def a_person_wishes(self, wish: str, pick: int) -> None:
        if wish in ("stop_trial", "requeue"):
            if self.model.trials:
                getattr(self, f"wish_{wish}")(self.some_trial(pick))
        elif wish == "raise_budget":
            self.wish_raise_budget(pick % 4)
        # A stopped experiment is a dull one: not before much has happened.
        elif wish != "stop" or self.width > 30:
            getattr(self, f"wish_{wish}")()

    def wish_pause(self) -> None:
        if self.model.status in ("stopped", "completed"):
            self.refused(TransitionRefused, pause, self.experiment_id)
            return
        with self.database.write() as connection:
            pause(connection, self.experiment_id)
        self.model.status = "paused"

    def wish_resume(self) -> None:
        if self.model.status in ("stopped", "completed"):
            self.refused(TransitionRefused, resume, self.experiment_id)
            return
        with self.database.write() as connection:
            resume(connection, self.experiment_id)
        self.model.status = "running"

    def wish_stop(self) -> None:
        with self.database.write() as connection:
            stop(connection, self.experiment_id)
        self.model.stop()

    def wish_raise_budget(self, more: int) -> None:
        wanted = self.model.budget + more
        if self.model.status == "stopped":
            self.refused(TransitionRefused, raise_budget, self.experiment_id, wanted)
            return
        with self.database.write() as connection:
            raise_budget(connection, self.experiment_id, wanted)
        self.model.budget = wanted
        if more and self.model.status == "completed":
            self.model.status = "running"

    def wish_stop_trial(self, trial: ModelTrial) -> None:
        if trial.status in FINAL:
            self.refused(TransitionRefused, stop_trial, self.experiment_id, trial.number, "why")
            return
        with self.database.write() as connection:
            stop_trial(connection, self.experiment_id, trial.number, "why")
        self.model.stop_trial(trial, "stop")

    def wish_requeue(self, trial: ModelTrial) -> None:
        if trial.status not in ("failed", "cancelled") or self.model.status == "stopped":
            self.refused(TransitionRefused, requeue_trial, self.experiment_id, trial.number)
            return
        with self.database.write() as connection:
            requeue_trial(connection, self.experiment_id, trial.number)
        self.model.requeue(trial)

    def wish_attach(self) -> None:
        request = AttachRequest(parameters={"width": 1, "rate": 0.1, "pruned": False})
        if self.model.status == "stopped":
            self.refused(TransitionRefused, attach_trial, self.experiment_id, request)
            return
        if len(self.model.trials) == self.model.budget:
            self.refused(BudgetExhausted, attach_trial, self.experiment_id, request)
            return
        with self.database.write() as connection:
            trial = attach_trial(connection, self.experiment_id, request)
        self.model.trials.append(ModelTrial(trial.number, manual=True))

    # --- after every step

    @invariant()
    def database_and_model_agree(self) -> None:
        with self.database.read() as connection:
            assert check_invariants(connection) == []
            view = read_experiment(connection, self.experiment_id)
            found = all_trials(connection, self.experiment_id)
        assert view.experiment.status == self.model.status
        assert view.experiment.trials_created == len(self.model.trials)
        assert view.explanation.endswith(".")
        for trial, expected in zip(found, self.model.trials, strict=True):
            assert trial.number == expected.number
            assert trial.status == expected.status
            assert trial.stop_requested == expected.stop
            assert [stage.status for stage in trial.stages] == expected.stages
            assert [stage.epoch for stage in trial.stages] == expected.epochs
            assert [stage.attempts for stage in trial.stages] == expected.attempts


def _machine_on(make_url: Callable[[], str]) -> type[LeaseMachine]:
    return type("BoundLeaseMachine", (LeaseMachine,), {"make_url": staticmethod(make_url)})


_SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # shrinking a history takes longer than a test may
)


@pytest.mark.slow
def test_random_histories_on_sqlite(fresh_databases: FreshDatabases) -> None:
    machine = _machine_on(fresh_databases.sqlite_url)
    run_state_machine_as_test(machine, settings=settings(_SETTINGS, max_examples=16))


@pytest.mark.slow
def test_random_histories_on_postgresql(fresh_databases: FreshDatabases) -> None:
    machine = _machine_on(fresh_databases.postgresql_url)
    run_state_machine_as_test(machine, settings=settings(_SETTINGS, max_examples=8))
