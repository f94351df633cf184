"""Whatever deploy/ starts or its handbooks teach is a command that the command line has."""

import pytest
import typer

from service.cli import app
from tests.deploy.shipped import archfront_commands

COMMANDS = list(archfront_commands())


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=[place for place, _ in COMMANDS])
def test_the_command_line_has_it_with_these_options(place, words):
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"{place}: there is no {name!r}"
        command = command.commands[name]
    command.make_context(name, list(words)).close()


def test_a_fleet_has_api_suggester_and_worker_wherever_it_is_deployed():
    for kind in ("compose", "kubernetes", "systemd"):
        started = {words[0] for place, words in COMMANDS if place.startswith(kind)}
        assert started == {"serve", "suggester", "worker"}, kind


def test_the_handbooks_teach_how_a_fleet_gets_its_first_token():
    taught = {place.partition(":")[0] for place, words in COMMANDS if "--offline" in words}
    assert taught == {f"deploy/{kind}/README.md" for kind in ("compose", "kubernetes", "systemd")}
