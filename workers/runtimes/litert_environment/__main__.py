"""`python -m workers.runtimes.litert_environment [FOLDER]`: makes the converter's environment.

Takes some minutes and 2.1 GB. Where it was broken off, it goes on.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from workers.runtimes.litert_environment.converter import (
    converter_version,
    python_in,
    usual_folder,
)
from workers.settings import PREFIX

CONSTRAINTS = Path(__file__).with_name("constraints.txt")


def commands(folder: Path) -> list[list[str]]:
    """What makes the environment in `folder`, in this order.

    torch comes first and alone, so that no other package chooses its build.
    """
    install = [str(python_in(folder)), "-m", "pip", "install", "--constraint", str(CONSTRAINTS)]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [*install, "torch"],
        [*install, "litert-torch"],
    ]


def make_environment(folder: Path) -> str:
    """Makes the environment; the converter's version.

    Raises: CalledProcessError if a command fails; RuntimeMissing if what it made does not work.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PIP_CONSTRAINT", "PYTHONPATH")  # the worker's own pins do not hold here
    }
    for command in commands(folder):
        subprocess.run(command, check=True, env=environment)  # noqa: S603
    return converter_version(python_in(folder))


def main(given: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.runtimes.litert_environment", description=__doc__
    )
    parser.add_argument("folder", nargs="?", type=Path, help="by default in the worker's cache")
    folder = (parser.parse_args(given).folder or usual_folder()).absolute()
    told = f"litert-torch {make_environment(folder)} is in {folder}\n"
    if folder != usual_folder().absolute():
        told += f"Workers find it with {PREFIX}LITERT_PYTHON={python_in(folder)}\n"
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
