"""What a pruned network is once deployed: its speed of decoding, and how right it still is.

Both are told of the step of decoding, which the device runs for every token after the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from search_spaces.language.depth_pruned_llm.chat import Chat, Exchange
from search_spaces.language.depth_pruned_llm.decoding_step import (
    DecodingStep,
    Step,
    decode_greedily,
)
from search_spaces.language.depth_pruned_llm.evaluation import right_share
from search_spaces.language.depth_pruned_llm.network import NextToken
from search_spaces.recipe import Deployment, Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EXAMPLES = 32
"""Inputs of the step that are timed, compared and calibrated on."""

_PROMPTS = 8  # that they come from
_MS_PER_S = 1_000.0


@dataclass(frozen=True)
class Examination:
    """What a deployed network is asked, and how.

    max_response_tokens: a response ends there at the latest.
    """

    tokenizer: "PreTrainedTokenizerBase"
    chat: Chat
    tests: Sequence[Exchange]
    max_response_tokens: int


def deployed_metrics(
    network: NextToken, examination: Examination, deploy: Deployment
) -> Mapping[str, Estimate]:
    """`tokens_per_s`, and `deployed_accuracy`: the share of right answers."""
    step = DecodingStep(network.language_model).eval()
    answerer, tests = _Answerer(step, examination), examination.tests
    deployed = deploy(step, answerer.examples())
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
    """Answers prompts token by token, in a cache with room for the longest of the tests."""

    def __init__(self, step: DecodingStep, examination: Examination) -> None:
        self._step = step
        self._given = examination
        longest = max(map(len, map(self._prompt, examination.tests)))
        self._places = longest + examination.max_response_tokens

    def _prompt(self, exchange: Exchange) -> list[int]:
        text = self._given.chat.ask(exchange)
        return list(self._given.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _answer(self, exchange: Exchange, step: Step) -> list[int]:
        keys, values = (one.numpy() for one in self._step.empty_cache(self._places))
        room, end = self._given.max_response_tokens, self._given.tokenizer.eos_token_id
        return decode_greedily(step, self._prompt(exchange), room, (keys, values), end)

    def is_right(self, exchange: Exchange, step: Step) -> bool:
        tokens = self._answer(exchange, step)
        response = self._given.tokenizer.decode(tokens, skip_special_tokens=True)
        return bool(self._given.chat.is_right(exchange, response))

    def examples(self) -> list[tuple[torch.Tensor, ...]]:
        """Inputs of the step at places spread evenly over the answers to some of the tests."""
        met: list[tuple[torch.Tensor, ...]] = []

        def run(inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
            met.append(tuple(torch.from_numpy(one.copy()) for one in inputs))
            with torch.no_grad():
                return [one.numpy() for one in self._step(*met[-1])]

        for exchange in self._given.tests[:: max(1, len(self._given.tests) // _PROMPTS)]:
            self._answer(exchange, run)
        places = np.linspace(0, len(met) - 1, EXAMPLES).round().astype(int)
        return [met[place] for place in places]
