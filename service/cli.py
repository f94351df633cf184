"""`archfront`: the command line, in the order in which one meets its commands."""

import sys
from typing import NoReturn

import typer

from service import cli_experiments, cli_fleet, cli_server, cli_steering, cli_tokens, cli_trials

app = typer.Typer(
    name="archfront",
    help="Multi-objective architecture search: the best accuracy at each on-device latency.\n\n"
    "Start with `archfront demo`, or with `archfront serve`, `archfront worker` and "
    "`archfront create FILE`. On the machine of the server, the other commands find it by "
    "themselves; elsewhere set ARCHFRONT_URL and ARCHFRONT_TOKEN.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module in (cli_server, cli_experiments, cli_steering, cli_trials, cli_fleet, cli_tokens):
    _module.add_to(app)


def main() -> NoReturn:
    """The console script: errors are one line with the remedy; status 1, or 2 for usage."""
    from service.cli_output import run_plainly

    sys.exit(run_plainly(app))


if __name__ == "__main__":
    main()
