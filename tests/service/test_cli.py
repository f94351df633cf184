"""The command line as a user types it, against a served API."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from search_spaces.arm import Arm
from service import cli_fleet, cli_trials, client
from service.cli import app as command_line
from service.cli_output import run_plainly
from service.client import Client
from service.domain.insight import Forecast, Insight, Prediction
from service.optimizer.optimizer import Suggestion
from service.schemas.leases import CompleteRequest
from service.settings import Settings
from service.storage.database import Database
from service.use_cases.keep_insight import keep_insight
from service.use_cases.tokens import authenticate
from service.use_cases.top_up_candidates import add_candidates
from tests.service.domain.test_calibration import calibrations
from tests.service.served_api import ALL_SCOPES, EXTERNAL_SPEC
from tests.service.test_client import Through, registration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(
    app: FastAPI,
    secret_with: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Client]:
    """Lets every `Client()` reach the app; gives one."""
    secret = secret_with(*ALL_SCOPES)
    with TestClient(app) as through:

        def connect(**options: Any) -> Client:
            return Client("http://testserver", secret, transport=Through(through), **options)

        monkeypatch.setattr(client, "Client", connect)
        yield connect()


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Types a command; gives status, standard output and standard error."""
    root = logging.getLogger()  # which commands that run for long set up for themselves
    handlers, level = root.handlers[:], root.level

    def type_command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archfront", *words])
        status = run_plainly(command_line)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return status, said.out, said.err

    yield type_command
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "search.yaml"
    path.write_text(json.dumps(EXTERNAL_SPEC))
    return path


@pytest.fixture
def searched(served: Client) -> None:
    served.create_experiment(EXTERNAL_SPEC)
    for x, error, latency_ms in ((0.1, 0.9, 5.0), (0.2, 0.5, 10.0), (0.3, 0.2, 40.0)):
        served.attach_trial(
            "own-loop",
            {"x": x, "kind": "plain"},
            {"error": {"mean": error, "sem": 0.01}, "latency_ms": latency_ms},
        )


Run = Callable[..., tuple[int, str, str]]


def test_a_stop_rule_is_shown_when_it_ends_the_search_and_when_it_is_overruled(
    served: Client, run: Run
) -> None:
    rules = {"no_gain": {"trials": 2, "share": 0.05}}
    optimizer = {"initial_trials": 1}
    served.create_experiment(EXTERNAL_SPEC | {"stop_rules": rules, "optimizer": optimizer})
    _, said, _ = run("show", "own-loop")
    assert "stops once 2 trials in a row have not raised the hypervolume by more than 5 %" in said
    for x in (0.1, 0.2, 0.3):
        served.attach_trial("own-loop", {"x": x, "kind": "plain"}, {"error": 0.5, "latency_ms": 5})
    _, said, _ = run("show", "own-loop")
    assert ": completed" in said
    assert "The last 2 trials to complete added nothing to the hypervolume." in said
    _, said, _ = run("watch", "own-loop")
    assert "by the rule no_gain" in said
    status, said, _ = run("resume", "own-loop")
    assert (status, "stops no more by no_gain, which was overruled" in said) == (0, True)
    assert ": running" in said


def test_the_model_s_view_is_shown_beside_the_front(
    served: Client, searched: None, run: Run, api_database: Database
) -> None:
    _, said, _ = run("front", "own-loop")
    assert "p(on front)" not in said
    arms = [{"x": 0.1, "kind": "plain"}, {"x": 0.9, "kind": "plain"}]
    forecasts = [
        Forecast(
            arm=Arm(parameters=arm),
            predictions={
                "error": Prediction(mean=0.4, sd=0.1),
                "latency_ms": Prediction(mean=5, sd=1),
            },
            probability_on_front=0.625,
        )
        for arm in arms
    ]
    with api_database.write() as connection:
        insight = Insight(
            forecasts=forecasts[:1],
            predicted_front=forecasts,
            relative_expected_gain=0.04,
            observations=2,
            strategy="gp",
        )
        keep_insight(connection, served.read_experiment("own-loop").experiment.id, insight)
    _, said, _ = run("front", "own-loop")
    header, *rows = said.splitlines()
    assert "p(on front)" in header
    assert sum("0.62" in row for row in rows) == 1
    assert (
        "predicted front: 2 arms, 1 of them never tried (the model gp knows 2 trials, 1 newer ones "
        "not yet)\nthe best next arm is expected to raise the hypervolume by 4 %"
    ) in said
    _, said, _ = run("pick", "own-loop", "--latency-ms", "6")
    assert "on the true front with p = 0.625, as the model sees it" in said


def test_a_warm_start_is_named_when_creating_and_its_use_is_shown(
    served: Client, searched: None, run: Run, file: Path
) -> None:
    status, _, err = run("create", str(file), "--name", "later", "--warm-start", "own-lop")
    assert (status, "Did you mean 'own-loop'?" in err) == (1, True)
    status, said, _ = run("create", str(file), "--name", "later", "--warm-start", "own-loop")
    assert (status, said.startswith("created later")) == (0, True)
    _, said, _ = run("show", "later")
    assert "starts warm from own-loop (running): 3 of its 3 final trials used" in said


def test_repeats_are_named_with_what_they_repeat(
    served: Client, searched: None, run: Run, api_database: Database
) -> None:
    arm = Arm(parameters={"x": 0.2, "kind": "plain"})
    repeat = Suggestion(arm=arm, source="replicate", note={"why": "noise"})
    with api_database.write() as connection:
        experiment_id = served.read_experiment("own-loop").experiment.id
        (trial,) = add_candidates(connection, experiment_id, [repeat])
    served.tell("own-loop", trial.number, {"error": {"mean": 0.6, "sem": 0.01}, "latency_ms": 10})
    _, said, _ = run("trials", "own-loop")
    assert "replicate of 1" in said
    _, said, _ = run("trial", "own-loop", "3")
    assert "trial 3: completed (replicate of 1)" in said
    _, said, _ = run("front", "own-loop")
    assert any("1 + 3" in line and "0.55" in line for line in said.splitlines())


def test_create_list_show_and_steer(served: Client, run: Run, file: Path) -> None:
    assert run("list")[1].startswith("No experiments yet")
    status, out, _ = run("validate", str(file))
    assert (status, "2 parameters, 6 trials for error, latency_ms" in out) == (0, True)
    status, out, _ = run("create", str(file), "--name", "mine")
    assert (status, out.startswith("created mine (")) == (0, True)
    assert "mine" in run("list")[1]
    assert json.loads(run("list", "--json")[1])[0]["name"] == "mine"
    status, out, _ = run("show", "mine")
    assert "running" in out
    assert "minimize error, threshold 1" in out
    assert "paused" in run("pause", "mine")[1]
    assert "running" in run("resume", "mine")[1]
    assert "budget 9" in run("budget", "mine", "9")[1]
    assert "stopped" in run("stop", "mine")[1]
    assert run("archive", "mine")[0] == 0
    assert "mine" not in run("list")[1]
    assert "mine" in run("list", "--archived")[1]
    assert run("unarchive", "mine")[0] == 0


def test_results(served: Client, searched: None, run: Run, tmp_path: Path) -> None:
    status, out, _ = run("trials", "own-loop", "--where", "latency_ms <= 10", "--sort", "error")
    assert [line.split()[0] for line in out.splitlines()] == ["trial", "1", "0"]
    assert "0.500 ± 0.010" in out
    assert run("trials", "own-loop", "--csv")[1].startswith("number,status")
    assert "0.3" in run("trial", "own-loop", "2")[1]
    html, png, svg = (tmp_path / name for name in ("f.html", "f.png", "f.svg"))
    status, out, _ = run(
        "front", "own-loop", "--html", str(html), "--png", str(png), "--svg", str(svg)
    )
    assert status == 0
    assert "hypervolume" in out
    assert "latency_ms [ms]" in out
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()
    assert json.loads(run("front", "own-loop", "--json")[1])["front"]


@pytest.mark.parametrize(
    "budget",
    [
        ("--latency-ms", "20"),
        ("--latency-ms=20",),
        ("--latency_ms", "20"),
        ("--within", "latency_ms=20"),
    ],
)
def test_pick(served: Client, searched: None, run: Run, budget: tuple[str, ...]) -> None:
    status, out, _ = run("pick", "own-loop", *budget)
    assert status == 0
    assert re.search(r"trial 1\b", out, re.IGNORECASE), out
    assert "p = " in out


def test_a_pick_of_an_unknown_metric_is_corrected(served: Client, searched: None, run: Run) -> None:
    status, _, err = run("pick", "own-loop", "--latncy-ms", "20")
    assert status == 1
    assert "Did you mean 'latency_ms'?" in err
    assert run("pick", "own-loop", "--latency-ms")[0] == 2
    assert run("pick", "own-loop", "--latency-ms", "fast")[0] == 2


def test_mistakes_in_a_file_are_each_a_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(json.dumps({**EXTERNAL_SPEC, "objectivs": [], "budget": 0}))
    status, _, err = run("validate", "--offline", str(path))
    assert status == 1
    assert err.splitlines() == [
        "error: 2 fields are not valid:",
        "  budget: must be at least 1 (got 0). Correct the value.",
        "  objectivs: is not a known field (got '[]'). Did you mean 'objectives'?",
    ]
    path.write_text("name: a\nbudget: [1,\n")
    _, _, err = run("validate", "--offline", str(path))
    assert err.startswith("error: The YAML cannot be read at line 3, column 1")


def test_errors_are_one_line_and_status_1(served: Client, run: Run) -> None:
    status, _, err = run("show", "nothing")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("error: No experiment has the id or name 'nothing'.")


def test_usage_is_status_2(run: Run, tmp_path: Path) -> None:
    assert run("create")[0] == 2
    assert run("create", str(tmp_path / "none.yaml"))[0] == 2
    assert run("serv")[0] == 2
    assert run("budget", "e", "many")[0] == 2


def test_no_server_is_said_plainly(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARCHFRONT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("service.exchange._FIRST_PAUSE_S", 0.001)
    status, _, err = run("list")
    assert status == 1
    assert "archfront serve" in err
    assert run("validate", str(file))[0] == 0


def test_the_first_token_is_made_without_a_server(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    monkeypatch.setenv("ARCHFRONT_DATABASE_URL", url)
    status, out, err = run("token", "create", "operator", "--scope", "admin", "--offline")
    assert (status, out.count("\n")) == (0, 1), err
    database = Database(url)
    with database.read() as connection:
        assert authenticate(connection, out.strip()).scopes == {"admin"}
    database.dispose()


def test_tokens(served: Client, run: Run) -> None:
    status, out, err = run("token", "create", "ci", "--scope", "read", "--days", "3")
    assert status == 0
    assert re.fullmatch(r"archfront_\S+\n", out)
    token_id = err.partition(":")[0]
    assert token_id in run("token", "list")[1]
    assert out.strip() not in run("token", "list", "--json")[1]
    assert "revoked" in run("token", "revoke", token_id)[1]
    status, _, err = run("token", "create", "ci", "--scope", "raed")
    assert (status, "Did you mean 'read'?" in err) == (1, True)


def test_spaces(served: Client, run: Run) -> None:
    assert "toy@1" in run("spaces")[1]
    shown = run("spaces", "toy")[1]
    assert "1 to 8" in shown
    assert "A. Uthor (2020)" in shown


def test_a_worker_joins_with_a_token_that_is_used_once(served: Client, run: Run) -> None:
    status, out, err = run("fleet", "token", "create", "--name", "gpu-7", "--expires", "30min")
    assert (status, out.count("\n")) == (0, 1)
    assert "lets the worker gpu-7 join, once, until" in err
    [token] = [token for token in served.list_tokens() if token.name == "gpu-7"]
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).total_seconds() == pytest.approx(1_800)
    joining = Client("http://testserver", out.strip(), transport=served._exchange.http._transport)
    own = joining.enroll_worker("gpu-7", "s" * 43, "rack-3")
    assert own.token != out.strip()
    assert "used by gpu-7 on rack-3" in run("token", "list")[1]
    status, _, err = run("fleet", "token", "create", "--name", "gpu-7", "--expires", "soon")
    assert status == 1
    assert "Write 90s, 30min, 1h or 2d" in err


def test_many_runtimes_take_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    versions = ("2026.4.1-19823-abc123+0f1e2d3c4b5a", "1.32.0", "head")
    long = {f"runtime_{number}": versions[number % 3] for number in range(9)}
    devices = [
        SimpleNamespace(name=name, runtimes=runtimes)
        for name, runtimes in (("a", long), ("b", {"ncnn": "1.0.20260101"}), ("c", long), ("d", {}))
    ]
    cli_fleet._print_runtimes(devices)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("on a, c: runtime_0 2026.4, runtime_1 1.32, runtime_2 head, ")
    assert lines[-2:] == ["on b: ncnn 1.0", "on d: no runtime"]
    assert max(map(len, lines)) <= 100
    assert len(lines) == 4


def test_only_devices_with_optional_metrics_tell_them(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"a": ("instruction_count", "energy_mj"), "b": ()}
    devices = [
        SimpleNamespace(name=name, metrics=metrics)  # all that is looked at
        for name, metrics in given.items()
    ]
    cli_fleet._print_optional_metrics(devices)
    assert capsys.readouterr().out == "on a if asked for: energy_mj, instruction_count\n"


A_SLOWER_WEEK = tuple(calibrations([0.4] * 20 + [0.416] * 6, timedelta(hours=4)))


def test_the_fleet_on_one_screen(served: Client, run: Run, suggest: Callable[..., int]) -> None:
    _, empty, _ = run("fleet", "status")
    assert "Workers: none" in empty
    assert "No worker runs; `archfront worker` starts one." in empty
    assert "Devices: none" in empty
    assert "Waiting: nothing" in empty
    spec = {
        "name": "on-board",
        "search_space": "toy",
        "targets": ["this-host", "rpi5"],
        "objectives": [{"metric": "latency_ms@rpi5", "goal": "minimize"}],
        "budget": 4,
    }
    experiment = served.create_experiment(spec)
    arm = {"x": 0.5, "layers": 2}
    suggest(experiment.id, arm)
    served.register_worker(registration("bench-box"))
    status, out, _ = run("fleet", "status")
    assert status == 0
    lines = out.splitlines()
    assert re.fullmatch(r"Fleet at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", lines[0])
    assert "Workers: 1 online" in lines
    (worker,) = [line for line in lines if line.startswith("bench-box")]
    assert worker.split()[1:4] == ["online", "0/2", "d"]
    (device,) = [line for line in lines if line.startswith("here ")]
    assert "Cortex-A76, 4 cores" in device
    assert re.search(r"(?m)^everywhere: onnxruntime \d+(\.\d+)?$", out)
    assert max(map(len, lines)) <= 120
    assert device.endswith("free")
    assert "Waiting: 1" in lines
    grant = served.claim(served.list_workers()[0].id)
    assert grant is not None
    result = {"epoch": grant.epoch, "measurements": {"error": 0.5}}
    served.complete(grant.lease_id, CompleteRequest.model_validate(result))
    grant = served.claim(served.list_workers()[0].id)
    assert grant is not None
    assert " on-board #0" in run("fleet", "status")[1]
    assert " never " in run("fleet", "status")[1]
    ended = CompleteRequest(epoch=grant.epoch, measurements={}, calibrations=A_SLOWER_WEEK)
    served.complete(grant.lease_id, ended)
    out = run("fleet", "status")[1]
    assert re.search(r"0\.416 ms \d+ \w+ ago", out)
    assert re.search(r"! here measures 4\.0 % \(± \d\.\d\) slower since 2026-11-2\d", out)
    assert re.search(r"Waiting: 1; the oldest stage for \d+ s", out)
    assert (
        "! on-board, measure@rpi5: No worker that can measure toy@1 with onnxruntime on rpi5 is "
        "online." in out
    )
    status, out, _ = run("fleet", "pause", "bench-box", "--note", "new fan", "--minutes", "5")
    assert re.fullmatch(r"bench-box is paused until 20\d\d-.* UTC\.\n", out)
    out = run("fleet", "status")[1]
    assert re.search(r"! bench-box is paused until \d\d:\d\d UTC: new fan", out)
    assert run("fleet", "resume", "bench-box")[1] == "bench-box is given work.\n"
    assert "paused" not in run("fleet", "status")[1]
    assert run("fleet", "pause", "nobody")[0] == 1
    seen = json.loads(run("fleet", "status", "--json")[1])
    assert seen["waiting"][0]["stage"] == "measure@rpi5"


def test_watch_prints_a_line_per_change_until_the_end(
    served: Client, searched: None, run: Run
) -> None:
    served.stop("own-loop")
    status, out, _ = run("watch", "own-loop")
    assert status == 0
    assert out.startswith("own-loop  3/6 done, 0 running  hypervolume ")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("serve", "--host", "0.0.0.0"), "--allow-remote"),
        (("serve", "--port", "70000"), "port"),
        (("serve", "--lease-ttl", "10"), "lease_ttl_s"),
    ],
)
def test_settings_that_make_no_sense(
    run: Run, tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    status, _, err = run(*words, "--data", str(tmp_path))
    assert (status, err.count("\n")) == (1, 1)
    assert part in err


def test_doctor_finds_what_is_broken(
    served: Client, searched: None, run: Run, settings: Settings, api_database: Database
) -> None:
    words = ("doctor", "--data", str(settings.data_folder))
    assert run(*words)[:2] == (0, "All invariants hold.\n")
    with api_database.write() as connection:
        connection.execute(text("UPDATE experiments SET trials_created = trials_created + 1"))
    status, out, _ = run(*words)
    assert status == 1
    assert out.startswith("I1 own-loop: 4 trials were accepted, 3 are there")


def test_doctor_of_nothing(run: Run, tmp_path: Path) -> None:
    status, _, err = run("doctor", "--data", str(tmp_path / "none"))
    assert (status, "There is no database at" in err) == (1, True)


def test_a_mistyped_variable_is_corrected(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHFRONT_DATABSE_URL", "sqlite:///x")
    status, _, err = run("serve")
    assert status == 1
    assert "Did you mean ARCHFRONT_DATABASE_URL?" in err


def test_help_is_quick_and_groups_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "service.cli", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    )
    for group in ("Run the service", "Search", "Steer", "Results", "Access"):
        assert group in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"pydantic", "httpx2", "fastapi", "sqlalchemy", "yaml"}


def test_budgets_are_read_in_every_spelling() -> None:
    found = cli_trials._budgets(["--a-b", "1", "--c=2"], ["a_c=3"], ["a_b", "a_c", "c"])
    assert found == {"a_b": 1.0, "c": 2.0, "a_c": 3.0}
