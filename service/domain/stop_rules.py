"""Rules that end a search before its budget is spent, and what each one says when it does.

Pure: a rule looks at the hypervolume's growth, or at what the model expects, and answers with
a verdict or with None. Without rules an experiment runs until its budget is spent.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from search_spaces.values import ShortText, Value
from service.domain.number_format import format_number

StopRuleName = Literal["no_gain", "expected_gain"]


class NoGainRule(Value):
    """Ends the search when the last `trials` completed ones hardly raised the hypervolume.

    share: a rise of at most this share of the hypervolume counts as none; 0: only no rise at
        all. Also written as a bare number of trials.
    Trials count once the quasi-random initial ones have ended, and once some trial has a
    hypervolume at all: a search that found nothing feasible yet has not stalled.
    """

    trials: Annotated[int, Field(ge=1, le=100_000)]
    share: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:
        is_number = isinstance(given, int) and not isinstance(given, bool)
        return {"trials": given} if is_number else given


class ExpectedGainRule(Value):
    """Ends the search when the best next arm is expected to raise the hypervolume by too little.

    below: as a share of the hypervolume; the model expects less than this from any new arm.
        Also written as a bare number.
    Needs a strategy with a model, and looks once the initial trials have ended.
    """

    below: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        return {"below": given} if is_number else given


class StopRules(Value):
    """What ends a search early; the first rule that holds does."""

    no_gain: NoGainRule | None = None
    expected_gain: ExpectedGainRule | None = None

    def without(self, names: Collection[str]) -> "StopRules":
        """The rules less those of these names."""
        return self.model_copy(update=dict.fromkeys(names))

    @property
    def is_empty(self) -> bool:
        """Whether nothing but the budget ends the search."""
        return self.no_gain is None and self.expected_gain is None


class StopVerdict(Value):
    """The rule that ended a search, and why in one sentence."""

    rule: StopRuleName
    reason: ShortText


def no_gain_verdict(
    rule: NoGainRule, hypervolumes: Sequence[float], initial_trials: int
) -> StopVerdict | None:
    """Whether the hypervolume has stood still for as long as `rule` says.

    hypervolumes: after each completed trial, in the order they ended, all at one reference
        point, so that they never fall.
    initial_trials: the first so many completed trials are not judged.
    """
    before = len(hypervolumes) - rule.trials
    if before < max(initial_trials, 1):
        return None
    now, then = hypervolumes[-1], hypervolumes[before - 1]
    # Not (now - then) / now: the share of a hypervolume near the largest float stays exact.
    if now <= 0 or now - then > rule.share * now:
        return None
    trials = "trial" if rule.trials == 1 else f"{rule.trials} trials"
    if now == then:
        reason = f"The last {trials} to complete added nothing to the hypervolume."
    else:
        reason = (
            f"The last {trials} to complete raised the hypervolume by {_percent(1 - then / now)}, "
            f"no more than {_percent(rule.share)}."
        )
    return StopVerdict(rule="no_gain", reason=reason)


def expected_gain_verdict(
    rule: ExpectedGainRule, relative_gain: float | None, observations: int, initial_trials: int
) -> StopVerdict | None:
    """Whether the model expects less of the best next arm than `rule` asks for.

    relative_gain: expected rise as a share of the hypervolume; None: it cannot be told yet.
    observations: how many completed trials the model had learnt from.
    """
    if relative_gain is None or observations < initial_trials or relative_gain >= rule.below:
        return None
    return StopVerdict(
        rule="expected_gain",
        reason=f"The model expects the best next arm to raise the hypervolume by "
        f"{_percent(max(relative_gain, 0.0))}, less than {_percent(rule.below)}.",
    )


def _percent(share: float) -> str:
    return f"{format_number(100 * share, 3)} %"
