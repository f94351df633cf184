"""`python -m benchmarks.asynchrony latency | idle | heartbeats | table`: see README.md here."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.asynchrony import heartbeats, idle_share, lease_latency
from benchmarks.asynchrony.records import RESULTS, keep, write_table
from benchmarks.asynchrony.served import DATABASES

_REST_S = 5.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what was asked for, one after the other, each against a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asynchrony", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    latency = commands.add_parser("latency", help="latency of a lease from a warm pool")
    latency.add_argument("--loads", nargs="+", choices=lease_latency.LOADS, default=["steady"])
    latency.add_argument("--workers", type=int, default=50)
    latency.add_argument("--seconds", type=float, default=120.0)
    idle = commands.add_parser("idle", help="idle share of workers with 20 s trials")
    idle.add_argument("--workers", type=int, default=8)
    idle.add_argument("--seconds", type=float, default=600.0)
    idle.add_argument("--strategy", default="auto")
    beats = commands.add_parser("heartbeats", help="heartbeats of a thousand workers")
    beats.add_argument("--workers", type=int, default=1_000)
    beats.add_argument("--seconds", type=float, default=300.0)
    beats.add_argument("--trial-seconds", type=float, default=300.0)
    beats.add_argument("--kills", type=int, default=0, help="of the API process, meanwhile")
    for command, databases in ((latency, DATABASES), (idle, DATABASES), (beats, ["postgresql"])):
        command.add_argument("--databases", nargs="+", choices=DATABASES, default=list(databases))
        command.add_argument("--runs", type=int, default=3)
        command.add_argument("--folder", type=Path, help="for the databases; on a real disk")
        command.add_argument("--results", type=Path, default=RESULTS)
    commands.add_parser("table", help="write README.md from the kept results")
    given = parser.parse_args(arguments)
    if given.command == "table":
        write_table()
    elif given.command == "latency":
        _latency(given)
    elif given.command == "heartbeats":
        _heartbeats(given)
    else:
        _idle(given)


def _latency(given: argparse.Namespace) -> None:
    for _ in range(given.runs):
        for kind in given.databases:
            for load in given.loads:
                run = lease_latency.run(kind, load, given.workers, given.seconds, given.folder)
                print(run, flush=True)
                keep(run, given.results)
                time.sleep(_REST_S)


def _idle(given: argparse.Namespace) -> None:
    for _ in range(given.runs):
        for kind in given.databases:
            run = idle_share.run(
                kind, given.workers, given.seconds, strategy=given.strategy, folder=given.folder
            )
            print(run, flush=True)
            keep(run, given.results)
            time.sleep(_REST_S)


def _heartbeats(given: argparse.Namespace) -> None:
    for _ in range(given.runs):
        for kind in given.databases:
            load = heartbeats.Load(
                database=kind,
                workers=given.workers,
                seconds=given.seconds,
                trial_s=given.trial_seconds,
                kills=given.kills,
            )
            run = heartbeats.run(load, given.folder)
            print(run, flush=True)
            keep(run, given.results)
            time.sleep(_REST_S)


if __name__ == "__main__":
    main()
