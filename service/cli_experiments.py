"""`archfront spaces | validate | create | list | show | watch`: experiments, from file to end."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli_output import ExperimentArgument, JsonFlag

if TYPE_CHECKING:
    from service.client import Client
    from service.domain.experiment import Experiment
    from service.schemas.experiments import ExperimentView

_PANEL = "Search"


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("spaces", rich_help_panel=_PANEL)(spaces)
    app.command("validate", rich_help_panel=_PANEL)(validate)
    app.command("create", rich_help_panel=_PANEL)(create)
    app.command("list", rich_help_panel=_PANEL)(list_all)
    app.command("show", rich_help_panel=_PANEL)(show)
    app.command("watch", rich_help_panel=_PANEL)(watch)


SpecFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The experiment, as YAML or JSON.", exists=True)
]


def spaces(
    name: Annotated[str | None, typer.Argument(help="Show all of this one.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the search spaces of the server, or show one with its parameters."""
    from service.cli_output import print_json, print_table
    from service.client import Client

    with Client() as client:
        if name is None:
            found = client.list_search_spaces()
            if as_json:
                print_json(found)
                return
            rows = [(f"{s.name}@{s.version}", str(s.parameter_count), s.title) for s in found]
            print_table(("space", "parameters", "title"), rows, "No search space is installed.")
            return
        space = client.read_search_space(name)
    if as_json:
        print_json(space)
        return
    print(f"{space.name}@{space.version}: {space.title}\n{space.description}\n")
    print(f"{space.citation.authors} ({space.citation.year}). {space.citation.title}.\n")
    rows = [(one.name, one.type, _range_of(one)) for one in space.space.parameters]
    print_table(("parameter", "type", "values"), rows, "")
    print()
    metrics = [(one.name, one.unit, one.better, one.description) for one in space.metrics]
    print_table(("metric", "unit", "better", "meaning"), metrics, "")


def _range_of(parameter: object) -> str:
    fields = parameter.model_dump(exclude={"type", "name"}, exclude_none=True)  # type: ignore[attr-defined]
    if "low" in fields:
        extra = "" if fields.get("scale") == "linear" else " (log)"
        return f"{fields['low']:g} to {fields['high']:g}{extra}"
    if "values" in fields:
        return ", ".join(map(str, fields["values"]))
    return str(fields.get("value", "true, false"))


def validate(
    file: SpecFile,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Check the form alone; ask no server.")
    ] = False,
) -> None:
    """Check an experiment file: every mistake with its place and remedy."""
    from service.client import Client, ServerUnreachable, read_spec

    spec = read_spec(file)
    if offline:
        print(f"{file} is well-formed.")
        return
    try:
        with Client(tries=1) as client:
            checked = client.validate_experiment(spec)
    except ServerUnreachable:
        print(f"{file} is well-formed; no server was there to check it against its search spaces.")
        return
    objectives = ", ".join(objective.metric for objective in checked.spec.objectives)
    print(
        f"{file} is valid: {checked.parameter_count} parameters, "
        f"{checked.spec.budget.trials} trials for {objectives}."
    )


def create(
    file: SpecFile,
    *,
    name: Annotated[str | None, typer.Option(help="Instead of the name in the file.")] = None,
    warm_start: Annotated[
        list[str] | None,
        typer.Option(help="An earlier experiment to learn from, beside those in the file."),
    ] = None,
    then_watch: Annotated[
        bool, typer.Option("--watch", help="Show its progress until it ends.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Create an experiment; it runs at once."""
    from service.cli_output import print_json
    from service.client import Client, read_spec

    spec = read_spec(file)
    changes: dict[str, object] = {}
    if name is not None:
        changes["name"] = name
    if warm_start:
        changes["warm_start"] = [*spec.warm_start, *warm_start]
    if changes:
        spec = spec.model_validate({**spec.model_dump(), **changes})
    with Client() as client:
        created = client.create_experiment(spec)
        if as_json:
            print_json(created)
        else:
            print(f"created {created.spec.name} ({created.id}), {created.budget_trials} trials")
        if then_watch:
            follow(client, created.id)


def list_all(
    *,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the experiments, newest first."""
    from service.cli_output import print_json, print_table
    from service.client import Client
    from service.domain.trial import TrialStatus

    with Client() as client:
        found = list(client.list_experiments(include_archived=archived))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            one.status.value,
            one.search_space or "ask/tell",
            str(one.trial_counts.get(TrialStatus.COMPLETED, 0)),
            str(one.trial_counts.get(TrialStatus.RUNNING, 0)),
            str(one.budget_trials),
            f"{one.created_at:%Y-%m-%d %H:%M}",
        )
        for one in found
    ]
    header = ("name", "status", "space", "done", "running", "budget", "created (UTC)")
    print_table(header, rows, "No experiments yet; `archfront create FILE` makes one.")


def show(experiment: ExperimentArgument, *, as_json: JsonFlag = False) -> None:
    """Show one experiment and what it is doing."""
    from service.cli_output import print_json
    from service.client import Client

    with Client() as client:
        view = client.read_experiment(experiment)
    if as_json:
        print_json(view)
        return
    print_view(view)


def print_view(view: "ExperimentView") -> None:
    """The experiment in a few lines."""
    one = view.experiment
    counts = ", ".join(f"{count} {status}" for status, count in view.trial_counts.items() if count)
    print(f"{one.spec.name} ({one.id}): {one.status}")
    print(f"  {view.explanation}")
    print(f"  trials: {counts or 'none yet'}; budget {one.budget_trials}")
    for objective in one.spec.objectives:
        threshold = "" if objective.threshold is None else f", threshold {objective.threshold:g}"
        print(f"  {objective.goal} {objective.metric}{threshold}")
    for bound in one.spec.outcome_constraints:
        print(f"  subject to {bound.metric} {bound.op} {bound.bound:g}")
    for rule in _stop_rules(one):
        print(f"  stops {rule}")
    for source in view.sources:
        filled = ", ".join(f"{name} = {value}" for name, value in source.filled_parameters.items())
        print(
            f"  starts warm from {source.name} ({source.status.value}): {source.used_trials} of "
            f"its {source.final_trials} final trials used" + (f", with {filled}" if filled else "")
        )


def _stop_rules(one: "Experiment") -> list[str]:
    """The stop rules in force in words, and those that were overruled."""
    rules = []
    stall, gain = one.stop_rules.no_gain, one.stop_rules.expected_gain
    if stall is not None:
        more = f" by more than {100 * stall.share:g} %" if stall.share else ""
        rules.append(f"once {stall.trials} trials in a row have not raised the hypervolume{more}")
    if gain is not None:
        rules.append(
            f"once the model expects less than {100 * gain.below:g} % more hypervolume of any arm"
        )
    rules += [f"no more by {rule}, which was overruled" for rule in one.overruled_stop_rules]
    return rules


def watch(experiment: ExperimentArgument) -> None:
    """Follow an experiment until it ends: a live line on a terminal, else a line per change."""
    from service.client import Client

    with Client() as client:
        follow(client, experiment)


def follow(client: "Client", experiment: str, poll_s: float = 1.0) -> None:
    """Prints the progress until the experiment has completed or stopped."""
    live = sys.stdout.isatty()
    shown: object = None
    while True:
        view = client.read_experiment(experiment)
        # Where lines cannot be overwritten, one a change is enough: the clock alone is none.
        state = time.monotonic() if live else (view.trial_counts, view.explanation)
        if state != shown:
            line = progress_line(client, view)
            if not live and view.experiment.stopped_by is not None:
                line += f"\n{view.explanation}"
            print(f"\r\x1b[2K{line}" if live else line, end="" if live else "\n", flush=True)
            shown = state
        if view.experiment.status.value in ("completed", "stopped"):
            if live:
                print()
                if view.experiment.stopped_by is not None:
                    print(view.explanation)
            return
        time.sleep(poll_s)


def progress_line(client: "Client", view: "ExperimentView") -> str:
    """`name  12/24 done, 2 running, 1 failed  hypervolume 0.81  about 4 min left`."""
    from service.domain.number_format import format_number
    from service.domain.trial import TrialStatus

    counts = {status: view.trial_counts.get(status, 0) for status in TrialStatus}
    budget = view.experiment.budget_trials
    ended = sum(count for status, count in counts.items() if status.is_final)
    parts = [f"{ended}/{budget} done", f"{counts[TrialStatus.RUNNING]} running"]
    lost = counts[TrialStatus.FAILED] + counts[TrialStatus.INFEASIBLE]
    if lost:
        parts.append(f"{lost} failed or infeasible")
    text = f"{view.experiment.spec.name}  {', '.join(parts)}"
    points = client.hypervolume(view.experiment.id).points
    if points:
        text += f"  hypervolume {format_number(points[-1].hypervolume)}"
        if ended < budget and view.experiment.status.value == "running":
            left_s = points[-1].elapsed_s / points[-1].completed * (budget - ended)
            text += f"  about {_duration(left_s)} left"
    elif not counts[TrialStatus.RUNNING]:
        text += f"  {view.explanation}"
    return text


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
