"""The rules of leases, restated over plain objects: what a test expects of the database."""

from dataclasses import dataclass, field

TTL_S = 60.0
FINAL = {"completed", "failed", "infeasible", "early_stopped", "cancelled"}
TRAINED_FIRST = ("train", "measure")
MEASURED_FIRST = ("measure", "train")


@dataclass
class ModelLease:
    """An attempt; `outcome` None while it is open."""

    id: str
    trial: "ModelTrial"
    stage: int
    epoch: int
    worker: str
    expires_s: float
    outcome: str | None = None
    report: object = None
    reply: object = None


@dataclass
class ModelTrial:
    """A trial with its two stages."""

    number: int
    manual: bool = False
    status: str = "candidate"
    stages: list[str] = field(default_factory=lambda: ["ready", "waiting"])
    epochs: list[int] = field(default_factory=lambda: [0, 0])
    attempts: list[int] = field(default_factory=lambda: [0, 0])
    stop: str | None = None

    @property
    def leased(self) -> bool:
        return "leased" in self.stages

    def end(self, status: str) -> None:
        self.status = status
        self.stop = None
        self.stages = ["cancelled" if s in ("ready", "waiting") else s for s in self.stages]

    def end_stopped(self) -> None:
        kept = self.stop == "stop" and "completed" in self.stages
        self.end("early_stopped" if kept else "cancelled")


@dataclass
class ModelExperiment:
    """One experiment, its trials, leases and workers (name -> slots; all on one device)."""

    budget: int
    max_parallel: int
    max_attempts: int
    workers: dict[str, int]
    kinds: tuple[str, str] = TRAINED_FIRST
    now_s: float = 0.0
    status: str = "running"
    trials: list[ModelTrial] = field(default_factory=list)
    leases: dict[str, ModelLease] = field(default_factory=dict)

    def open_leases(self) -> list[ModelLease]:
        return [lease for lease in self.leases.values() if lease.outcome is None]

    def count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)

    def measured_ahead(self) -> int:
        """How many running trials have not begun to train."""
        train = self.kinds.index("train")
        return sum(
            trial.status == "running"
            and trial.epochs[train] == 0
            and trial.stages[train] in ("waiting", "ready")
            for trial in self.trials
        )

    def settle(self) -> None:
        """Completes the experiment once all is done."""
        going_on = self.status in ("running", "paused")
        spent = len(self.trials) == self.budget
        if going_on and spent and all(trial.status in FINAL for trial in self.trials):
            self.status = "completed"

    def room(self) -> int:
        if self.status != "running":
            return 0
        pool = max(2, len(self.open_leases()))
        in_pool = self.count("candidate") + self.measured_ahead()
        return max(0, min(self.budget - len(self.trials), pool - in_pool))

    def next_claim(self, worker: str) -> tuple[ModelTrial, int] | None:
        held = [lease for lease in self.open_leases() if lease.worker == worker]
        if len(held) >= self.workers[worker]:
            return None
        device_busy = any(self.kinds[lease.stage] == "measure" for lease in self.open_leases())
        under_way = self.count("running") - self.measured_ahead()
        choices = []
        for trial in self.trials:
            if "ready" not in trial.stages:
                continue
            stage = trial.stages.index("ready")
            kind = self.kinds[stage]
            if kind == "measure" and device_busy:
                continue
            begins = trial.status == "candidate" or (kind == "train" and not trial.epochs[stage])
            needs_place = begins and (kind, stage) != ("measure", 0)
            if needs_place and under_way >= self.max_parallel:
                continue
            if self.status not in (("running",) if begins else ("running", "paused")):
                continue
            if trial.status == "running":
                choices.append((0 if kind == "measure" else 1, trial.number, trial, stage))
            elif trial.status == "candidate":
                choices.append((2 if trial.manual else 3, trial.number, trial, stage))
        if not choices:
            return None
        _, _, trial, stage = min(choices, key=lambda choice: choice[:2])
        return trial, stage

    def claimed(self, lease: ModelLease) -> None:
        trial = lease.trial
        trial.status = "running"
        trial.stages[lease.stage] = "leased"
        trial.epochs[lease.stage] += 1
        trial.attempts[lease.stage] += 1
        self.leases[lease.id] = lease

    def succeeded(self, lease: ModelLease) -> None:
        trial = lease.trial
        lease.outcome = "succeeded"
        trial.stages[lease.stage] = "completed"
        if lease.stage == len(self.kinds) - 1:
            trial.end("completed")
        elif trial.stop is not None:
            trial.end_stopped()
        else:
            trial.stages[lease.stage + 1] = "ready"
        self.settle()

    def ended(self, lease: ModelLease, outcome: str) -> None:
        """Infeasible or stopped early: final for the trial."""
        lease.outcome = outcome
        lease.trial.stages[lease.stage] = outcome
        lease.trial.end(outcome)
        self.settle()

    def without_result(self, lease: ModelLease, outcome: str) -> None:
        trial, stage = lease.trial, lease.stage
        lease.outcome = outcome
        if outcome == "preempted":
            trial.attempts[stage] -= 1
        final = outcome == "failed" or (
            outcome != "preempted" and trial.attempts[stage] >= self.max_attempts
        )
        if trial.stop is not None:
            trial.stages[stage] = "cancelled"
            trial.end_stopped()
        elif final:
            trial.stages[stage] = "failed"
            trial.end("failed")
        else:
            trial.stages[stage] = "ready"
        self.settle()

    def cancelled(self, lease: ModelLease) -> None:
        lease.outcome = "cancelled"
        lease.trial.stages[lease.stage] = "cancelled"
        lease.trial.end_stopped()
        self.settle()

    def reap(self) -> int:
        expired = [lease for lease in self.open_leases() if lease.expires_s <= self.now_s]
        for lease in expired:
            self.without_result(lease, "lost")
        return len(expired)

    def extend(self) -> None:
        for lease in self.open_leases():
            lease.expires_s = max(lease.expires_s, self.now_s + TTL_S)

    def stop_trial(self, trial: ModelTrial, how: str) -> None:
        if trial.status == "candidate":
            trial.end("cancelled")
        else:
            trial.stop = "cancel" if trial.stop == "cancel" else how
            if not trial.leased:
                trial.end_stopped()
        self.settle()

    def stop(self) -> None:
        if self.status != "stopped":
            self.status = "stopped"
            for trial in self.trials:
                if trial.status not in FINAL:
                    self.stop_trial(trial, "cancel")

    def requeue(self, trial: ModelTrial) -> None:
        trial.status = "candidate"
        left = [i for i, stage in enumerate(trial.stages) if stage != "completed"]
        for order, index in enumerate(left):
            trial.stages[index] = "waiting" if order else "ready"
            trial.attempts[index] = 0
        if self.status == "completed":
            self.status = "running"
