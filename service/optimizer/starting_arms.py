"""The arms before the model's first: what a careful person would try, then an even spread."""

from collections.abc import Sequence

from search_spaces.arm import Arm
from service.domain.errors import SearchSpaceExhausted
from service.optimizer.axes import assemble, axes_of
from service.optimizer.history import incumbents, source_arms
from service.optimizer.optimizer import Suggestion, SuggestRequest
from service.optimizer.sobol import SobolOptimizer

_SOURCE = "sobol"


def starting_arms(request: SuggestRequest) -> list[Suggestion]:
    """At most `count` arms, up to `initial_trials` in all.

    First the arms on the fronts of the experiments to start warm from, a third of the initial
    trials at most; then the middle of the space; the rest quasi-random.
    Raises: SearchSpaceExhausted.
    """
    missing = request.initial_trials - request.arms_so_far
    count = min(request.count, missing)
    known = {arm.signature for arm in request.known_arms}
    first = [
        suggestion
        for suggestion in (*_from_sources(request), *_middle(request))
        if suggestion.arm.signature not in known
    ][:count]
    rest = count - len(first)
    if rest == 0:
        return first
    update = {
        "count": rest,
        "pending": (*request.pending, *(suggestion.arm for suggestion in first)),
        "replaceable": (),
    }
    try:
        drawn = SobolOptimizer().suggest(request.model_copy(update=update))
    except SearchSpaceExhausted:
        if first:
            return first
        raise
    return first + [
        suggestion.model_copy(update={"note": {"why": _why(request, len(first) + number)}})
        for number, suggestion in enumerate(drawn)
    ]


def _why(request: SuggestRequest, number: int) -> str:
    position = request.arms_so_far + number + 1
    return f"Quasi-random: arm {position} of the first {request.initial_trials}."


def _middle(request: SuggestRequest) -> list[Suggestion]:
    """The arm in the middle of every range, if it is legal: the likeliest guess of all."""
    axes = axes_of(request.space)
    if not axes:
        return []
    arm = assemble(request.space, {axis.name: axis.from_unit(0.5) for axis in axes})
    if not request.space.contains(arm):
        return []
    note = {"why": f"The middle of the space, one of the first {request.initial_trials}."}
    return [Suggestion(arm=arm, source=_SOURCE, note=note)]


def _from_sources(request: SuggestRequest) -> list[Suggestion]:
    most = request.initial_trials // 3
    found: list[Suggestion] = []
    for source in request.sources:
        arms = source_arms(request, source)
        for arm in _spread(incumbents(request, arms), most - len(found)):
            note = {"why": f"It stands on the front of {source.name!r}."}
            found.append(Suggestion(arm=arm, source=_SOURCE, note=note))
    return found


def _spread(arms: Sequence[Arm], most: int) -> list[Arm]:
    """At most so many of the arms, evenly along their order."""
    if len(arms) <= most:
        return list(arms)
    return [arms[(2 * n + 1) * len(arms) // (2 * most)] for n in range(most)]
