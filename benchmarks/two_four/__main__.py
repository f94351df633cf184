"""`python -m benchmarks.two_four`: measures what is missing, and writes the tables of README.md."""

import argparse
from pathlib import Path

from benchmarks.two_four import accuracy, cpu, matmul
from benchmarks.two_four.records import read, write_part
from benchmarks.two_four.statistics import accuracy_table, timing_table


def write_page() -> None:
    """The tables of all that is recorded."""
    write_part("accuracy", accuracy_table(read("accuracy")))
    write_part("cpu", timing_table(read("cpu"), ("case", "runtime"), cpu.told))
    products = read("matmul")
    fields = ("dtype", "backend", "M", "N", "K")
    table = timing_table(products, fields, matmul.told) if products else matmul.NOT_MEASURED
    write_part("matmul", table)


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_four", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help="of accuracy, cpu, matmul, table; without any, all of them"
    )
    parser.add_argument("--networks", nargs="+", choices=accuracy.NETWORKS,
                        default=[*accuracy.NETWORKS])  # fmt: skip
    parser.add_argument("--methods", nargs="+", choices=accuracy.METHODS,
                        default=[*accuracy.METHODS])  # fmt: skip
    parser.add_argument("--seeds", type=int, default=accuracy.SEEDS)
    parser.add_argument("--steps", type=int, help="cuts each training short, to try the command")
    parser.add_argument("--cache", type=Path, help="folder for the drawn commands")
    given = parser.parse_args()
    parts = given.parts or ["accuracy", "cpu", "matmul"]
    if unknown := {*parts} - {"accuracy", "cpu", "matmul", "table"}:
        parser.error(
            f"no part {', '.join(sorted(unknown))}; there are accuracy, cpu, matmul, table"
        )
    if "accuracy" in parts:
        accuracy.record(given)
    if "cpu" in parts:
        cpu.record(given)
    if "matmul" in parts:
        matmul.record()
    write_page()


if __name__ == "__main__":
    main()
