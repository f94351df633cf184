"""Exports two models' steps of decoding, and times one against the other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search_spaces.language.depth_pruned_llm.decoding_step import DecodingStep
from service.domain.runtimes import Precision
from workers.measurement.array_file import read_arrays, write_arrays
from workers.measurement.latency import Load, time_pairs
from workers.measurement.pinning import pinned
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.registry import find_runtime
from workers.runtimes.runtime import Runtime

BLOCKS, PLACES, PLACE = 30, 256, 128
REMOVED = (2, 4, 6)
RUNTIMES = ("onnxruntime", "openvino")
FORMS: tuple[tuple[Precision, int], ...] = (
    *(("fp32", removed) for removed in REMOVED),
    *(("int8_dynamic", removed) for removed in (0, REMOVED[-1])),
)
"""Precisions and blocks removed, each a row of the page."""
TIME_LIMIT_S = 30.0
_INPUTS, _NETWORK = "inputs.npz", "network.txt"


@dataclass(frozen=True)
class Case:
    """One measurement: so many blocks removed of `blocks`, in a runtime and a precision.

    It is compared with the unpruned model in fp32 in the same runtime.
    """

    runtime: str
    removed: int
    seed: int
    blocks: int = BLOCKS
    precision: Precision = "fp32"

    @property
    def exports(self) -> tuple[tuple[int, Precision], ...]:
        """Blocks and precision of the two exports that are compared, its own first."""
        return (self.blocks - self.removed, self.precision), (self.blocks, "fp32")

    @property
    def expected_speedup(self) -> float | None:
        """If nothing but blocks cost time; None in another precision, which costs as it likes."""
        return self.blocks / (self.blocks - self.removed) if self.precision == "fp32" else None


def run(case: Case, exports: Path, time_limit_s: float = TIME_LIMIT_S) -> dict[str, Any]:
    """Speed-up with its error, and tokens per second by the wall clock of either model.

    exports: where `export` has put both models.
    """
    runtime = find_runtime(case.runtime)
    pruned, unpruned = (_loading(runtime, exports, *one) for one in case.exports)
    with pinned(1) as cores:
        timings = time_pairs(
            pruned,
            unpruned,
            clocks_for(1),
            case.seed,
            min_pairs=64,
            relative_ci=0.01,
            time_limit_s=time_limit_s,
            cores=cores,
        )
    ratio = timings.median_ratio(case.seed)
    return {
        "speedup": 1 / ratio.value,
        "speedup_sem": ratio.sem / ratio.value**2,
        "tokens_per_s": 1e9 / float(np.median(timings.wall_ns)),
        "unpruned_tokens_per_s": 1e9 / timings.median_reference_ns,
        "pairs": ratio.n,
        "slow_rounds": timings.slow_rounds,
        "noisy": timings.is_noisy,
        "ended_by": timings.ended_by,
    }


def folder_of(exports: Path, runtime_name: str, blocks: int, precision: Precision) -> Path:
    """Where `export` puts the model of so many blocks."""
    return exports / f"{runtime_name}-{blocks}-{precision}"


def export(
    runtime_name: str,
    blocks: int,
    exports: Path,
    precision: Precision = "fp32",
    width: int = 576,
) -> None:
    """Puts the step of a model of so many blocks, and its inputs, where `run` looks for them."""
    torch.manual_seed(0)
    with torch.no_grad():
        step = DecodingStep(smollm2_shape(blocks, width)).eval()
        cache = [torch.randn_like(one) for one in step.empty_cache(PLACES)]
        inputs = (torch.tensor([[7]]), torch.tensor([[PLACE]]), *cache)
        folder = folder_of(exports, runtime_name, blocks, precision)
        folder.mkdir()
        path = find_runtime(runtime_name).export(step, inputs, folder, precision, [inputs]).path
    write_arrays(folder / _INPUTS, [tuple(one.numpy() for one in inputs)])
    (folder / _NETWORK).write_text(path.name)


def _loading(runtime: Runtime, exports: Path, blocks: int, precision: Precision) -> Load:
    folder = folder_of(exports, runtime.name, blocks, precision)
    path = folder / (folder / _NETWORK).read_text()
    (inputs,) = read_arrays(folder / _INPUTS)

    def load(_: int) -> Invoke:
        session = runtime.load(path, 1)
        session.prepare(tuple(inputs))
        return session.invoke

    return load


def smollm2_shape(blocks: int, width: int) -> Any:
    """A model of the shape of SmolLM2-135M where `width` is 576, in eval mode."""
    from transformers import AutoModelForCausalLM, LlamaConfig  # noqa: PLC0415  (an extra)

    config = LlamaConfig(
        vocab_size=49_152 * width // 576,
        hidden_size=width,
        intermediate_size=1_536 * width // 576,
        num_hidden_layers=blocks,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2 * PLACES,
        tie_word_embeddings=True,
    )
    return AutoModelForCausalLM.from_config(config).eval()
