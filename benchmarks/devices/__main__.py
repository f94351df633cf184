"""`python -m benchmarks.devices ssh-loopback | table`: records runs, and writes their table."""

import argparse
from pathlib import Path

from benchmarks.devices import records, ssh_loopback
from benchmarks.devices.network import NETWORKS

_FOLDER = Path(__file__).parent
_RECORDS = _FOLDER / "ssh_loopback.jsonl"
_TABLE = _FOLDER / "README.md"


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    loopback = commands.add_parser("ssh-loopback", help="adds pairs of runs to the records")
    loopback.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    loopback.add_argument("--pairs", type=int, default=10, help="of each network")
    loopback.add_argument("--python", default=None, help="the interpreter behind sshd")
    commands.add_parser("table", help="writes the table into README.md")
    given = parser.parse_args()
    if given.command == "ssh-loopback":
        for network in given.networks:
            ssh_loopback.record(_RECORDS, network, given.pairs, given.python)
    records.write_table(_TABLE, records.read(_RECORDS))


if __name__ == "__main__":
    main()
