"""What a pruned network is once deployed: its speed of decoding, and how right it still is.

Both are told of the step of decoding, which the device runs for every token after the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.chat_tasks import MAX_RESPONSE_TOKENS
from search_spaces.language.depth_pruned_llm.decoding_step import (
    DecodingStep,
    Step,
    decode_greedily,
)
from search_spaces.language.depth_pruned_llm.evaluation import right_share
from search_spaces.language.depth_pruned_llm.network import NextToken, word_tokenizer
from search_spaces.language.depth_pruned_llm.world import CHAT
from search_spaces.recipe import Deployment, Estimate

EXAMPLES = 32
"""Inputs of the step that are timed, compared and calibrated on."""

_PROMPTS = 8  # that they come from
_MS_PER_S = 1_000.0


def deployed_metrics(
    network: NextToken, tests: Sequence[Exchange], deploy: Deployment
) -> Mapping[str, Estimate]:
    """`tokens_per_s` and `deployed_accuracy`: the share of right answers to `tests`."""
    step = DecodingStep(network.language_model).eval()
    answerer = _Answerer(step, tests)
    deployed = deploy(step, answerer.examples(tests))
    right = sum(answerer.is_right(exchange, deployed.run) for exchange in tests)
    return {
        "tokens_per_s": _per_second(deployed.metrics["latency_ms"]),
        "deployed_accuracy": right_share(right, len(tests)),
    }


def _per_second(latency_ms: Estimate) -> Estimate:
    """Its relative error is that of the latency, to the first order."""
    rate = _MS_PER_S / latency_ms.mean
    sem = None if latency_ms.sem is None else rate * latency_ms.sem / latency_ms.mean
    return Estimate(rate, sem, latency_ms.n)


class _Answerer:
    """Answers prompts token by token, in a cache with room for the longest of `tests`."""

    def __init__(self, step: DecodingStep, tests: Sequence[Exchange]) -> None:
        self._step = step
        self._tokenizer = word_tokenizer()
        self._places = max(map(len, map(self._prompt, tests))) + MAX_RESPONSE_TOKENS

    def _prompt(self, exchange: Exchange) -> list[int]:
        text = CHAT.ask(exchange)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _answer(self, exchange: Exchange, step: Step) -> list[int]:
        keys, values = (one.numpy() for one in self._step.empty_cache(self._places))
        end = self._tokenizer.eos_token_id
        return decode_greedily(
            step, self._prompt(exchange), MAX_RESPONSE_TOKENS, (keys, values), end
        )

    def is_right(self, exchange: Exchange, step: Step) -> bool:
        tokens = self._answer(exchange, step)
        response = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return bool(CHAT.is_right(exchange, response))

    def examples(self, tests: Sequence[Exchange]) -> list[tuple[torch.Tensor, ...]]:
        """Inputs of the step at places spread evenly over the answers to some of `tests`."""
        met: list[tuple[torch.Tensor, ...]] = []

        def run(inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
            met.append(tuple(torch.from_numpy(one.copy()) for one in inputs))
            with torch.no_grad():
                return [one.numpy() for one in self._step(*met[-1])]

        for exchange in tests[:: max(1, len(tests) // _PROMPTS)]:
            self._answer(exchange, run)
        places = np.linspace(0, len(met) - 1, EXAMPLES).round().astype(int)
        return [met[place] for place in places]
