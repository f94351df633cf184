"""The table of trained networks: its sub-space, its files, and recording that goes on."""

import csv

import pytest

from benchmarks.optimizer import recording
from benchmarks.optimizer.problems import nlu_table
from benchmarks.optimizer.problems.nlu_table import (
    ARCHITECTURE_NAMES,
    ERRORS_TABLE,
    LATENCIES_TABLE,
    SPACE,
    arm_of,
    every_architecture,
    every_arm,
    read_rows,
    write_rows,
)
from benchmarks.optimizer.recording import in_nlu_encoder, record_errors, record_latencies
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from service.domain.device import MeasurementSettings


def test_every_arm_is_legal_here_and_in_nlu_encoder():
    assert len(every_arm()) == len({arm.signature for arm in every_arm()}) == 432
    for arm in every_arm():
        assert SPACE.contains(arm)
        assert SEARCH_SPACE.space.contains(in_nlu_encoder(arm))


def test_an_architecture_is_measured_once_for_all_its_recipes():
    architectures = list(every_architecture())
    assert len(architectures) == 72
    keys = {tuple(arm.parameters[name] for name in ARCHITECTURE_NAMES) for arm in architectures}
    assert len(keys) == 72


def test_an_arm_survives_its_row(tmp_path):
    arms = every_arm()[::37]
    rows = [{name: str(value) for name, value in arm.parameters.items()} for arm in arms]
    write_rows(tmp_path / "table.csv", rows)
    assert [arm_of(row) for row in read_rows(tmp_path / "table.csv")] == list(arms)


def written(folder, errors=None, latencies=None):
    """Tables in which frame_error and latency_ms tell the arm's place."""
    error_rows = [
        {n: str(v) for n, v in arm.parameters.items()}
        | {"frame_error": f"{number / 1000}", "frame_error_sem": "0.01"}
        for number, arm in enumerate(every_arm()[:errors])
    ]
    latency_rows = [
        {n: str(arm.parameters[n]) for n in ARCHITECTURE_NAMES}
        | {"latency_ms": f"{number / 100}", "latency_ms_sem": "0.001"}
        for number, arm in enumerate(list(every_architecture())[:latencies])
    ]
    write_rows(folder / ERRORS_TABLE, error_rows)
    write_rows(folder / LATENCIES_TABLE, latency_rows)


def test_the_problem_reads_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(nlu_table, "TABLES_FOLDER", tmp_path)
    written(tmp_path)
    problem = nlu_table.nlu_table()
    # arm 13 is the second recipe of the third architecture: six recipes each
    measured = problem.evaluate(every_arm()[13])
    assert measured["frame_error"].mean == 0.013
    assert measured["frame_error"].sem == 0.01
    assert measured["latency_ms"].mean == 0.02


@pytest.mark.parametrize(("errors", "latencies"), [(431, None), (None, 71)])
def test_a_table_with_holes_is_no_problem(tmp_path, monkeypatch, errors, latencies):
    monkeypatch.setattr(nlu_table, "TABLES_FOLDER", tmp_path)
    written(tmp_path, errors, latencies)
    with pytest.raises(FileNotFoundError, match="record"):
        nlu_table.nlu_table()


@pytest.mark.slow
def test_recording_trains_for_real_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "SEEN_COMMANDS", 128)
    monkeypatch.setattr(recording, "_CACHE", tmp_path / "cache")
    assert record_errors(tmp_path, limit=2) == 430
    path = tmp_path / ERRORS_TABLE
    first = read_rows(path)
    assert record_errors(tmp_path, limit=1) == 429
    rows = read_rows(path)
    assert rows[:2] == first
    assert [arm_of(row) for row in rows] == list(every_arm()[:3])
    for row in rows:
        assert 0 < float(row["frame_error"]) <= 1
        assert int(row["weight_count"]) > 10_000
    with path.open() as file:
        assert csv.DictReader(file).fieldnames[:7] == [p.name for p in SPACE.parameters]
    assert '"nlu_encoder@' in (tmp_path / "errors.json").read_text()


@pytest.mark.alone
@pytest.mark.slow
def test_recording_measures_an_architecture_for_real(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "_CACHE", tmp_path / "cache")
    brief = MeasurementSettings(min_pairs=16, relative_ci=0.5, time_limit_s=0.5)
    monkeypatch.setattr(recording, "MeasurementSettings", lambda: brief)
    assert record_latencies(tmp_path, limit=1) == 71
    (row,) = read_rows(tmp_path / LATENCIES_TABLE)
    assert 0.01 < float(row["latency_ms"]) < 5
    assert 0 < float(row["latency_ms_sem"]) < 1
    assert int(row["pairs"]) >= 16
    assert int(row["macs"]) > 10_000
