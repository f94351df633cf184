"""`archfront pause | resume | stop | archive | unarchive | budget`: steering an experiment."""

from typing import Annotated

import typer

from service.cli_output import ExperimentArgument

_PANEL = "Steer"


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (pause, resume, stop, archive, unarchive, budget):
        app.command(command.__name__, rich_help_panel=_PANEL)(command)


def pause(experiment: ExperimentArgument) -> None:
    """Start no new trials; those under way go on."""
    _steer("pause", experiment)


def resume(experiment: ExperimentArgument) -> None:
    """Let a paused experiment run on, or one that a stop rule ended: that rule is switched off."""
    _steer("resume", experiment)


def stop(experiment: ExperimentArgument) -> None:
    """End an experiment for good; its results stay."""
    _steer("stop", experiment)


def archive(experiment: ExperimentArgument) -> None:
    """Take an experiment out of the list."""
    _steer("archive", experiment)


def unarchive(experiment: ExperimentArgument) -> None:
    """Bring an experiment back to the list."""
    _steer("unarchive", experiment)


def budget(
    experiment: ExperimentArgument,
    trials: Annotated[int, typer.Argument(help="The new total; it may only rise.", min=1)],
) -> None:
    """Raise the total number of trials; a stop rule that ended the search is switched off."""
    from service.cli_experiments import print_view
    from service.client import Client

    with Client() as client:
        print_view(client.raise_budget(experiment, trials))


def _steer(word: str, experiment: str) -> None:
    from service.cli_experiments import print_view
    from service.client import Client

    with Client() as client:
        print_view(getattr(client, word)(experiment))
