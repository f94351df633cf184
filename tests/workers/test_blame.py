import errno

import pytest

from search_spaces.recipe import ArmInfeasible
from search_spaces.registry import UnknownSearchSpace
from workers.blame import blame, remedy_for_missing_module
from workers.errors import ArtifactDamaged, GrantRefused, MetricsDisagree, WallClockLimitReached


def raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_an_infeasible_arm_is_the_arms_own_fault():
    ended = blame(ArmInfeasible("does not fit"))
    assert ended.ended == "infeasible"
    assert ended.reason == "does not fit"
    assert blame(ArmInfeasible()).reason  # a reason is never empty


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
        UnknownSearchSpace("no search space 'x' is installed"),
        GrantRefused("cannot"),
        ArtifactDamaged("another SHA-256"),
    ],
)
def test_the_machines_fault(error):
    assert blame(raised(error)).fault == "machine"


def test_torch_calls_an_exhausted_gpu_by_a_runtime_error():
    torch = pytest.importorskip("torch")
    assert blame(torch.OutOfMemoryError("CUDA out of memory.")).fault == "machine"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        MetricsDisagree("missing: error"),
        WallClockLimitReached("took 12 s"),
        SystemExit(3),
        ValueError("out of memory"),  # a recipe's own words, not the allocator's
    ],
)
def test_the_recipes_fault_comes_with_its_traceback(error):
    ended = blame(raised(error))
    assert ended.fault == "recipe"
    assert ended.message.startswith(type(error).__name__)
    assert "test_blame.py" in ended.detail


def test_a_missing_module_is_met_with_the_extra_that_brings_it():
    ended = blame(raised(ModuleNotFoundError("No module named 'hassil'", name="hassil.parser")))
    assert ended.fault == "recipe"
    assert "archfront[language]" in ended.message
    assert "archfront[language]" in remedy_for_missing_module("home_assistant_intents.data")
    assert "install the package" in remedy_for_missing_module("nobody_knows_this")


def test_words_that_no_database_takes_do_not_reach_it():
    ended = blame(raised(ValueError("a\x00b\udc80" + "x" * 100_000)))
    assert len(ended.message) <= 2_000
    assert len(ended.detail) <= 64_000
    assert "\x00" not in ended.message + ended.detail
    (ended.message + ended.detail).encode("utf-8")
