"""2:4 on an NVIDIA GPU: torch's packed weights on sparse tensor cores against the dense product.

[Mishra2021] Mishra et al., arXiv 2104.08378, section 3: up to twice the throughput of dense.

Shape legend: M tokens, N outputs, K inputs of a linear layer.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.sparse import SparseSemiStructuredTensor, to_sparse_semi_structured

from benchmarks.two_four.records import RESULTS, keep, read
from search_spaces.compression.masks import two_of_four_mask
from search_spaces.compression.semi_structured import has_sparse_tensor_cores

NOT_MEASURED = "not measured: no NVIDIA GPU of compute capability 8.0 or later"

TOKENS = (32, 128, 1024, 4096, 16384)
LAYERS = ((1024, 1024), (4096, 1024), (1024, 4096), (4096, 4096), (14336, 4096))  # N, K
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
BACKENDS = ("cutlass", "cusparselt")
SEEDS = 3

PAIRS = 51
CALLS = 20  # timed between two events
WARM_UP_CALLS = 20
TOLERANCES = {"fp16": 5e-3, "bf16": 4e-2, "int8": 0.0}
"""The largest difference allowed, as a share of the dense answer's largest magnitude."""

Key = tuple[str, str, int, int, int, int]


def keys() -> Iterator[Key]:
    """Type, back end, M, N, K, seed of every case."""
    for seed, dtype, backend, (n, k), m in product(range(SEEDS), DTYPES, BACKENDS, LAYERS, TOKENS):
        yield dtype, backend, m, n, k, seed


def products(dtype: str, backend: str, x: Tensor, weight: Tensor) -> list[Callable[[], Tensor]]:
    """The dense product and the packed one, each giving M x N.

    x: M x K; weight: N x K, 2:4 along K. int8 sums in int32.
    """
    SparseSemiStructuredTensor._FORCE_CUTLASS = backend == "cutlass"  # noqa: SLF001  (torch's own switch)
    packed = to_sparse_semi_structured(weight)
    if dtype != "int8":
        return [lambda: linear(x, weight), lambda: linear(x, packed)]
    columns = x.t()  # K x M, columns contiguous, as int8 products want it
    int_mm = torch._int_mm  # noqa: SLF001  (there is no public name)
    if backend == "cutlass":
        return [lambda: int_mm(x, weight.t()), lambda: torch.mm(packed, columns).t()]
    sparse_mm, compressed = torch._cslt_sparse_mm, packed.packed  # noqa: SLF001
    return [
        lambda: int_mm(x, weight.t()),
        lambda: sparse_mm(compressed, columns, out_dtype=torch.int32).t(),
    ]


def compare(key: Key) -> dict[str, Any]:
    """The median of pair ratios, dense over packed, by CUDA events."""
    dtype, backend, m, n, k, seed = key
    generator = torch.Generator("cuda").manual_seed(seed)

    def draw(rows: int, columns: int) -> Tensor:
        if dtype == "int8":
            given = {"generator": generator, "device": "cuda", "dtype": torch.int8}
            return torch.randint(-8, 8, (rows, columns), **given)
        drawn = torch.randn(rows, columns, generator=generator, device="cuda")
        return drawn.to(DTYPES[dtype])

    x, weight = draw(m, k), draw(n, k)
    weight = weight * two_of_four_mask(weight.float())
    dense, sparse = products(dtype, backend, x, weight)
    expected, answer = dense().float(), sparse().float()
    error = float((answer - expected).abs().max() / expected.abs().max())
    if not error <= TOLERANCES[dtype]:
        return {"failed": f"answers differ by {error:.1e}"}
    for each in (dense, sparse):
        _time_us(each, WARM_UP_CALLS)
    pairs = [(_time_us(dense), _time_us(sparse)) for _ in range(PAIRS)]
    return {
        "ratio": statistics.median(one / other for one, other in pairs),
        "dense_us": statistics.median(one for one, _ in pairs),
        "sparse_us": statistics.median(other for _, other in pairs),
        "relative_error": error,
    }


def _time_us(multiply: Callable[[], Tensor], calls: int = CALLS) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(calls):
        multiply()
    end.record()
    end.synchronize()
    return 1000 * float(begin.elapsed_time(end)) / calls


def record(results: Path = RESULTS) -> None:
    """Measures what is missing on this GPU, or says that there is none."""
    if not has_sparse_tensor_cores():
        print(NOT_MEASURED)
        return
    gpu = torch.cuda.get_device_name()
    fields = ("dtype", "backend", "M", "N", "K", "seed")
    known = {
        tuple(one[name] for name in fields) for one in read("matmul", results) if one["gpu"] == gpu
    }
    for key in keys():
        if key in known:
            continue
        try:
            with torch.inference_mode():
                figures = compare(key)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            figures = {"failed": (str(error).splitlines() or [type(error).__name__])[0][:120]}
        about = {"gpu": gpu, "torch": torch.__version__, "cuda": torch.version.cuda}
        keep("matmul", {**dict(zip(fields, key, strict=True)), **about, **figures}, results)
        print(*key, figures.get("ratio", figures), flush=True)


def told(records: Sequence[Mapping[str, Any]]) -> str:
    """What the figures were taken with."""
    last = records[-1]
    return (
        f"{PAIRS} interleaved pairs of {CALLS} products by CUDA events, medians over {SEEDS} "
        f"seeds; {last['gpu']}, torch {last['torch']}, CUDA {last['cuda']}."
    )
