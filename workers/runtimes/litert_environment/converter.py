"""Finds the Python that LiteRT's converter is installed for.

Importing this module imports nothing of the converter's.
"""

import functools
import subprocess
from pathlib import Path

from workers.runtimes.errors import RuntimeMissing
from workers.settings import PREFIX, read_worker_settings

_ASK_VERSION = "from importlib.metadata import version; print(version('litert-torch'))"
_LIMIT_S = 60.0
_TOLD_LENGTH = 300


def usual_folder() -> Path:
    """Where the environment is made if nobody says otherwise: in the worker's cache."""
    return read_worker_settings().cache_folder / "litert_environment"


def python_in(folder: Path) -> Path:
    """The Python of the environment in `folder`."""
    return folder / "bin" / "python"


def converter_python() -> Path:
    """The Python that the settings name, or that of the usual environment.

    Raises: RuntimeMissing, with how to make the environment, if the converter is not there.
    """
    python = read_worker_settings().litert_python or python_in(usual_folder())
    converter_version(python)
    return python


@functools.cache
def converter_version(python: Path) -> str:
    """The version of litert-torch in the environment of `python`. Raises: RuntimeMissing."""
    try:
        done = subprocess.run(  # noqa: S603  (the settings name it)
            [str(python), "-I", "-c", _ASK_VERSION],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        told = "there is no such file"
    except (OSError, subprocess.TimeoutExpired) as error:
        told = str(error)
    else:
        if done.returncode == 0:
            return done.stdout.strip()
        told = "".join(done.stderr.strip().splitlines()[-1:])[:_TOLD_LENGTH]
    raise RuntimeMissing(
        f"the runtime 'litert' needs its converter, which {python} has not: {told}; make its "
        "environment on this worker (some minutes, 2.1 GB): python -m "
        f"workers.runtimes.litert_environment, or name another's Python in {PREFIX}LITERT_PYTHON"
    )
