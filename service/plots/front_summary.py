"""The front in sentences: what has been found, and how to read what is drawn."""

from collections.abc import Sequence

from service.domain.front import Front, HypervolumeTrace
from service.domain.insight import Prediction
from service.domain.measurement import Measurement
from service.domain.number_format import format_measurement, format_number, with_unit
from service.plots.hypervolume_plot import trials_since_growth


def summarize_front(front: Front) -> str:
    """How many trials stand on the front, and the best of each objective."""
    total = len(front.front) + front.others_total
    if total == 0:
        return "No completed trial yet."
    if not front.front:
        return f"None of the {total} measured trials meets the constraints yet."
    bests = []
    for objective in front.objectives:
        best = max(
            front.front, key=lambda p: objective.sign * p.measurements[objective.metric].mean
        )
        value = format_measurement(best.measurements[objective.metric])
        word = "highest" if objective.sign > 0 else "lowest"
        unit = front.units.get(objective.metric, "")
        bests.append(
            f"{word} {objective.metric} {with_unit(value, unit)} (trial {best.trial_number})"
        )
    stand = "stands" if len(front.front) == 1 else "stand"
    repeats = sum(len(point.replicates) for point in (*front.front, *front.others))
    pooled = (
        f" {repeats} more {'trial' if repeats == 1 else 'trials'} ran one of them again; their "
        "measurements are pooled."
        if repeats
        else ""
    )
    return f"{len(front.front)} of {total} trials {stand} on the front: {'; '.join(bests)}.{pooled}"


def explain_stop(front: Front) -> str:
    """Which stop rule ended the search and why; empty while none has."""
    if front.stopped_by is None:
        return ""
    return f"The search ended by its stop rule {front.stopped_by.rule}. {front.stopped_by.reason}"


def explain_predicted_front(front: Front) -> str:
    """As of which trial the model speaks, and how much it still expects; empty without it."""
    predicted = front.predicted
    if predicted is None:
        return ""
    known = f"{predicted.as_of_trials} ended trial{'' if predicted.as_of_trials == 1 else 's'}"
    newer = predicted.newer_trials
    since = f"; {newer} more {'has' if newer == 1 else 'have'} ended since" if newer else ""
    sentence = (
        f"What the model {predicted.strategy} makes of {known}{since}: values that it predicts, "
        "± one standard deviation, and none that was measured."
    )
    if predicted.relative_expected_gain is not None:
        share = format_number(100 * predicted.relative_expected_gain, 3)
        sentence += f" It expects the best next arm to raise the hypervolume by {share} %."
    return sentence


def format_prediction(prediction: Prediction) -> str:
    """`mean ± sd`, the mean cut where the standard deviation begins."""
    return format_measurement(Measurement(mean=prediction.mean, sem=prediction.sd))


def describe_trials(numbers: Sequence[int]) -> str:
    """The trials that ran an arm: `trial 3`, `trials 3, 9`, or `never tried`."""
    if not numbers:
        return "never tried"
    return f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def explain_reference(front: Front) -> str:
    """The hypervolume and the point it is measured from, inferred coordinates named as such."""
    if front.reference_point is None or front.hypervolume is None:
        return ""
    parts = []
    for metric, level in front.reference_point.values.items():
        value = with_unit(format_number(level), front.units.get(metric, ""))
        inferred = " (inferred)" if metric in front.reference_point.inferred else ""
        parts.append(f"{metric} {value}{inferred}")
    return (
        f"Hypervolume {format_number(front.hypervolume, 5)}, "
        f"measured from the reference point {', '.join(parts)}."
    )


def explain_front_chart(front: Front) -> str:
    """One sentence that tells how to read the chart of the front."""
    if len(front.objectives) == 1:
        return (
            "Each mark is a trial; the line is the best so far, "
            "the diamond the best of all, and bars are two standard errors to each side."
        )
    squares = (
        " Hollow squares and triangles are predictions, with bars of two standard deviations."
        if front.predicted is not None and front.predicted.front
        else ""
    )
    if len(front.objectives) > 2:
        return (
            "Each chart shows two of the objectives; diamonds are the trials that no other beats "
            f"in all of them, and the dashed lines cross at the reference point.{squares}"
        )
    return (
        "Diamonds are the trials that no other beats in both objectives: going along them, one "
        f"objective is bought with the other; bars are two standard errors to each side.{squares}"
    )


def explain_hypervolume_chart(trace: HypervolumeTrace) -> str:
    """One sentence that tells how to read the trace, with how long it has stood still."""
    idle = trials_since_growth(trace)
    ending = (
        "the last completed trial added to it"
        if idle == 0
        else f"the last {idle} trial{'s' if idle > 1 else ''} added nothing to it"
    )
    return (
        "The line rises when a trial widens the area that the front dominates, all at the "
        f"reference point of today; {ending}."
    )
