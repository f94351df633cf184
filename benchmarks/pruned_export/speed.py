"""Exports two models' steps of decoding, and times one against the other."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search_spaces.language.depth_pruned_llm.decoding_step import DecodingStep
from workers.measurement.latency import Load, time_pairs
from workers.measurement.pinning import pinned
from workers.measurement.timed_block import Invoke, clocks_for
from workers.runtimes.registry import find_runtime
from workers.runtimes.runtime import Runtime

BLOCKS, PLACES, PLACE = 30, 256, 128
REMOVED = (2, 4, 6)
RUNTIMES = ("onnxruntime", "openvino")
TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Case:
    """One measurement: so many blocks removed of `blocks`, in a runtime."""

    runtime: str
    removed: int
    seed: int
    blocks: int = BLOCKS

    @property
    def expected_speedup(self) -> float:
        """If nothing but blocks cost time."""
        return self.blocks / (self.blocks - self.removed)


def run(case: Case, time_limit_s: float = TIME_LIMIT_S, width: int = 576) -> dict[str, Any]:
    """Speed-up with its error, and tokens per second by the wall clock of either model."""
    torch.set_num_threads(1)
    runtime = find_runtime(case.runtime)
    with tempfile.TemporaryDirectory() as name, torch.no_grad():
        load = {
            blocks: _exported(runtime, blocks, width, Path(name) / str(blocks), case.seed)
            for blocks in (case.blocks, case.blocks - case.removed)
        }
        with pinned(1) as cores:
            timings = time_pairs(
                load[case.blocks - case.removed],
                load[case.blocks],
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


def _exported(runtime: Runtime, blocks: int, width: int, folder: Path, seed: int) -> Load:
    torch.manual_seed(seed)
    step = DecodingStep(smollm2_shape(blocks, width)).eval()
    cache = [torch.randn_like(one) for one in step.empty_cache(PLACES)]
    inputs = (torch.tensor([[7]]), torch.tensor([[PLACE]]), *cache)
    folder.mkdir()
    exported = runtime.export(step, inputs, folder)
    arrays = tuple(one.numpy() for one in inputs)

    def load(_: int) -> Invoke:
        session = runtime.load(exported.path, 1)
        session.prepare(arrays)
        return session.invoke

    return load
