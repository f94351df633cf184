"""`archfront trials | trial | front | pick | workers`: what the search has found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli_output import ExperimentArgument, JsonFlag

if TYPE_CHECKING:
    from service.domain.measurement import Measurement
    from service.domain.trial import Trial
    from service.schemas.fronts import Front, PickOption

_PANEL = "Results"


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("trials", rich_help_panel=_PANEL)(trials)
    app.command("trial", rich_help_panel=_PANEL)(trial)
    app.command("front", rich_help_panel=_PANEL)(front)
    app.command(
        "pick",
        rich_help_panel=_PANEL,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(pick)


def trials(
    experiment: ExperimentArgument,
    *,
    status: Annotated[list[str] | None, typer.Option(help="Only these; repeatable.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A bound, as 'latency_ms <= 5'; repeatable.")
    ] = None,
    sort: Annotated[
        str, typer.Option(help="number, created_at, ended_at or a metric; a leading - descends.")
    ] = "number",
    csv: Annotated[bool, typer.Option("--csv", help="All trials as CSV.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the trials with their objectives."""
    from service.cli_output import print_json, print_table
    from service.client import Client

    with Client() as client:
        if csv:
            print(client.download_trials(experiment), end="")
            return
        found = list(
            client.list_trials(experiment, status=status or (), where=where or (), sort=sort)
        )
        objectives = client.read_experiment(experiment).experiment.spec.objectives
    if as_json:
        print_json(found)
        return
    metrics = [objective.metric for objective in objectives]
    rows = [
        (
            str(one.number),
            one.status.value,
            _source(one),
            *(_measured(one.measurements.get(metric)) for metric in metrics),
            one.reason or "",
        )
        for one in found
    ]
    print_table(("trial", "status", "source", *metrics, "reason"), rows, "No such trial yet.")


def trial(
    experiment: ExperimentArgument,
    number: Annotated[int, typer.Argument(min=0)],
    *,
    log: Annotated[bool, typer.Option("--log", help="The newest attempt's log.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show one trial: its arm, measurements and attempts."""
    from service.cli_output import print_json, print_table
    from service.client import Client

    with Client() as client:
        if log:
            print(client.read_trial_log(experiment, number), end="")
            return
        detail = client.read_trial(experiment, number)
    if as_json:
        print_json(detail)
        return
    one = detail.trial
    print(f"trial {one.number}: {one.status} ({_source(one)})")
    if one.reason:
        print(f"  {one.reason}")
    print()
    print_table(
        ("parameter", "value"), [(k, str(v)) for k, v in one.arm.parameters.items()], "No arm."
    )
    print()
    rows = [(name, _measured(value), value.unit) for name, value in one.measurements.items()]
    print_table(("metric", "value", "unit"), rows, "Nothing measured yet.")
    print()
    stages = [
        (
            stage.name,
            stage.status.value,
            f"{stage.spent_s:.1f}",
            "" if stage.shared_with is None else f"done by trial {stage.shared_with}",
        )
        for stage in one.stages
    ]
    print_table(("stage", "status", "seconds spent", ""), stages, "No stage.")
    print()
    attempts = [
        (
            attempt.stage,
            str(attempt.epoch),
            attempt.worker_id or "",
            attempt.outcome.value if attempt.outcome else "under way",
            ""
            if attempt.resumed_after_step is None
            else f"after step {attempt.resumed_after_step}",
            (attempt.detail or "").splitlines()[0] if attempt.detail else "",
        )
        for attempt in detail.attempts
    ]
    header = ("stage", "epoch", "worker", "outcome", "resumed", "detail")
    print_table(header, attempts, "No attempt yet.")


def front(
    experiment: ExperimentArgument,
    *,
    html: Annotated[Path | None, typer.Option(help="Write the interactive page there.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the picture there.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the vector picture there.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the front: the trials that no other trial beats in every objective."""
    from service.cli_output import print_json
    from service.client import Client

    with Client() as client:
        if html is not None:
            html.write_text(client.front_page(experiment), encoding="utf-8")
        if png is not None:
            png.write_bytes(client.front_picture(experiment, "png"))
        if svg is not None:
            svg.write_bytes(client.front_picture(experiment, "svg"))
        found = client.front(experiment)
    if as_json:
        print_json(found)
    else:
        print_front(found)


def print_front(found: "Front") -> None:
    """The front as a table, with the parameters that tell its arms apart."""
    from service.cli_output import print_table
    from service.domain.number_format import format_number

    metrics = [objective.metric for objective in found.objectives]
    names = list(dict.fromkeys(name for point in found.front for name in point.arm.parameters))
    telling = [
        name
        for name in names
        if len({str(point.arm.parameters.get(name)) for point in found.front}) > 1
    ]
    is_told = any(point.probability_on_front is not None for point in found.front)
    header = (
        "trial",
        *(
            f"{metric} [{found.units[metric]}]" if found.units.get(metric) else metric
            for metric in metrics
        ),
        *(["p(on front)"] if is_told else []),
        *telling[:6],
    )
    rows = [
        (
            " + ".join(map(str, (point.trial_number, *point.replicates))),
            *(_measured(point.measurements[metric]) for metric in metrics),
            *([_probability(point.probability_on_front)] if is_told else []),
            *(_value(point.arm.parameters.get(name)) for name in telling[:6]),
        )
        for point in found.front
    ]
    print_table(header, rows, "No feasible trial has completed yet.")
    if found.hypervolume is not None and found.reference_point is not None:
        corner = ", ".join(
            f"{name} {format_number(value)}"
            + (" (inferred)" if name in found.reference_point.inferred else "")
            for name, value in found.reference_point.values.items()
        )
        print(f"\nhypervolume {format_number(found.hypervolume)} from {corner}")
    _print_predicted(found)
    if found.stopped_by is not None:
        print(f"the search has ended: {found.stopped_by.reason}")


def _print_predicted(found: "Front") -> None:
    """The model's view in a line or two: as of when, what it adds, what it still expects."""
    from service.domain.number_format import format_number

    predicted = found.predicted
    if predicted is None:
        return
    untried = sum(not forecast.is_tried for forecast in predicted.front)
    newer = f", {predicted.newer_trials} newer ones not yet" if predicted.newer_trials else ""
    print(
        f"predicted front: {len(predicted.front)} arms, {untried} of them never tried "
        f"(the model {predicted.strategy} knows {predicted.as_of_trials} trials{newer})"
    )
    if predicted.relative_expected_gain is not None:
        share = format_number(100 * predicted.relative_expected_gain, 3)
        print(f"the best next arm is expected to raise the hypervolume by {share} %")


def _source(one: "Trial") -> str:
    """Who proposed the arm; of a replicate, which trial it repeats."""
    repeated = one.note.get("replicates")
    return one.source if repeated is None else f"{one.source} of {repeated}"


def _probability(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.2f}"


def pick(
    context: typer.Context,
    experiment: ExperimentArgument,
    *,
    within: Annotated[
        list[str] | None,
        typer.Option(help="METRIC=VALUE; the same as --metric VALUE. Repeatable."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Pick the trial to deploy within budgets, as in `archfront pick EXPERIMENT --latency-ms 20`.

    Any metric can be given so. A budget is an upper bound where lower is better, else a lower
    bound; among the trials within all budgets the first objective without one decides.
    """
    from service.cli_output import print_json
    from service.client import Client
    from service.domain.number_format import format_number

    with Client() as client:
        metrics = [one.name for one in client.read_experiment(experiment).experiment.metrics]
        budgets = _budgets(context.args, within or [], metrics)
        found = client.pick(experiment, **budgets)
    if as_json:
        print_json(found)
        return
    print(found.explanation)
    if found.best is not None:
        print()
        shown = list(dict.fromkeys([*budgets, *found.best.point.measurements]))
        for metric in shown:
            sure = found.best.probability_within.get(metric)
            note = "" if sure is None else f"   within the budget with p = {format_number(sure)}"
            print(f"  {metric} {_measured(found.best.point.measurements[metric])}{note}")
        sure = found.best.point.probability_on_front
        if sure is not None:
            print(f"  on the true front with p = {format_number(sure)}, as the model sees it")
        print()
        for name, value in found.best.point.arm.parameters.items():
            print(f"  {name}: {_value(value)}")
    _print_options("alternatives", found.alternatives)
    _print_options("nearest misses", () if found.best else found.nearest_misses)


def _print_options(title: str, options: "tuple[PickOption, ...]") -> None:
    if options:
        print(f"\n{title}: trials {', '.join(str(o.point.trial_number) for o in options)}")


def _budgets(arguments: list[str], within: list[str], metrics: list[str]) -> dict[str, float]:
    """`--latency-ms 20`, `--latency-ms=20` and `--within latency_ms=20` alike."""
    from service.cli_output import pairs

    given: list[tuple[str, str]] = list(pairs(within, "--within").items())
    spellings = {metric.replace("_", "-"): metric for metric in metrics}
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if not argument.startswith("--"):
            raise typer.BadParameter(f"{argument!r} is no option; write --latency-ms 20")
        name, equals, value = argument.removeprefix("--").partition("=")
        if not equals:
            if not waiting:
                raise typer.BadParameter(f"{argument} needs a value, as {argument} 20")
            value = waiting.pop(0)
        # An unknown metric goes to the server, which names the nearest.
        given.append((spellings.get(name, name.replace("-", "_")), value))
    budgets: dict[str, float] = {}
    for metric, text in given:
        try:
            budgets[metric] = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} for {metric} is not a number") from None
    return budgets


def _measured(measurement: "Measurement | None") -> str:
    from service.domain.number_format import format_measurement

    return "" if measurement is None else format_measurement(measurement)


def _value(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
