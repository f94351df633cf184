"""Decides whose fault an error in a stage is: the arm's, the machine's or the recipe's.

The arm's: it will never be tried again. The machine's: the stage is tried again. The recipe's:
the trial fails, for trying again would end the same way.
"""

import errno
import re
import traceback
from importlib.metadata import PackageNotFoundError, requires

from search_spaces.recipe import ArmInfeasible
from search_spaces.registry import UnknownSearchSpace
from workers.environment import stage_environment
from workers.errors import MetricsDisagree, WallClockLimitReached, WorkerError
from workers.safe_text import safe_text
from workers.stage_result import StageFailed, StageInfeasible

MESSAGE_LENGTH = 2_000
DETAIL_LENGTH = 64_000

_MACHINE_ERRNOS = (errno.ENOSPC, errno.ENOMEM, errno.EIO, errno.EDQUOT, errno.EMFILE)
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")


def blame(error: BaseException) -> StageInfeasible | StageFailed:
    """The stage's end that `error` means, with its traceback as the detail."""
    if isinstance(error, ArmInfeasible):
        reason = safe_text(str(error) or "The arm cannot be built or trained.", MESSAGE_LENGTH)
        return StageInfeasible(reason=reason, environment=stage_environment())
    by_machine = _is_of_the_machine(error)
    summary = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError):
        summary += f"; {remedy_for_missing_module(error.name or '')}"
    return StageFailed(
        fault="machine" if by_machine else "recipe",
        message=safe_text(summary, MESSAGE_LENGTH),
        detail=safe_text("".join(traceback.format_exception(error)), DETAIL_LENGTH, keep="tail"),
        environment=stage_environment(),
    )


def _is_of_the_machine(error: BaseException) -> bool:
    if isinstance(error, MetricsDisagree | WallClockLimitReached):
        return False
    if isinstance(error, MemoryError | UnknownSearchSpace | WorkerError):
        return True
    if isinstance(error, OSError):
        return error.errno in _MACHINE_ERRNOS
    # torch tells of exhausted memory by a RuntimeError, on a GPU by a subclass of it.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


def remedy_for_missing_module(module: str) -> str:
    """What to install so that `module` can be imported: the smallest extra that brings it."""
    package = module.partition(".")[0].replace("_", "-").lower()
    extras: dict[str, set[str]] = {}
    for requirement in _requirements():
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", requirement)
        if name and extra:
            extras.setdefault(extra[1], set()).add(name[0].replace("_", "-").lower())
    bringing = [extra for extra, packages in extras.items() if package in packages]
    if not bringing:
        return "install the package that brings it on this worker"
    smallest = min(bringing, key=lambda extra: len(extras[extra]))
    return f"install it on this worker: pip install 'archfront[{smallest}]'"


def _requirements() -> list[str]:
    try:
        return requires("archfront") or []
    except PackageNotFoundError:
        return []
