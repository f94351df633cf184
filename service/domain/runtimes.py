"""The runtimes and precisions that networks are deployed in, by name.

Importing this module imports no pydantic: measuring programs on devices do without.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

RuntimeName: TypeAlias = Literal[
    "onnxruntime",
    "openvino",
    "executorch",
    "ncnn",
    "litert",
    "torch_eager",
    "torch_csr",
    "aotinductor",
    "block_sparse",
]
ZERO_SKIPPING_RUNTIMES = frozenset({"block_sparse", "torch_csr"})
"""Those in which a latency depends on which weights are zero, which training decides."""

COUNTED_RUNTIMES = frozenset({"onnxruntime", "openvino", "ncnn"})
"""Those in which `instruction_count` can be counted: they load without torch, whose import alone
takes minutes under Valgrind, and compile nothing for this very processor, which Valgrind may not
know.
"""

Precision: TypeAlias = Literal["fp32", "bf16", "fp16", "int8_dynamic", "int8_static"]
"""What a network computes in.

int8_dynamic: weights in int8, ranges of activations taken anew on every input.
int8_static: both in int8, ranges of activations taken once from real inputs.
"""

DEFAULT_RUNTIME: RuntimeName = "onnxruntime"

RUNTIME_PRECISIONS: Mapping[RuntimeName, tuple[Precision, ...]] = {
    "onnxruntime": ("fp32", "int8_dynamic", "int8_static"),
    "openvino": ("fp32", "bf16", "fp16", "int8_dynamic", "int8_static"),
    "executorch": ("fp32",),
    "ncnn": ("fp32", "fp16"),
    "litert": ("fp32", "fp16", "int8_dynamic", "int8_static"),
    "torch_eager": ("fp32", "bf16"),
    "torch_csr": ("fp32",),
    "aotinductor": ("fp32", "bf16"),
    "block_sparse": ("fp32",),
}
"""By runtime, what it can compute in; what is not here is refused before any worker is asked."""


def no_such_precision(runtime: RuntimeName, precision: Precision) -> str:
    """Says that `runtime` lacks `precision`, and what may be asked for in its place."""
    others = [name for name, has in RUNTIME_PRECISIONS.items() if precision in has]
    return (
        f"the runtime {runtime!r} has no {precision!r}, but "
        f"{', '.join(RUNTIME_PRECISIONS[runtime])}; choose one of these, or a runtime that has it: "
        f"{', '.join(others)}"
    )
