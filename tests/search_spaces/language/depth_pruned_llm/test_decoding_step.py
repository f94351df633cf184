"""One step of decoding gives what the whole network gives, in torch and in a runtime."""

from pathlib import Path

import pytest
import torch

from search_spaces.language.depth_pruned_llm.decoding_step import DecodingStep, decode_greedily
from search_spaces.language.depth_pruned_llm.network import small_llama
from tests.search_spaces.language.depth_pruned_llm.families import tiny
from workers.runtimes.registry import find_runtime

PROMPT, COUNT, PLACES = [3, 7, 5, 9], 12, 24


@pytest.fixture(scope="module", params=["small_llama", "llama", "gpt_neox"])
def network(request: pytest.FixtureRequest):
    return small_llama(2).eval() if request.param == "small_llama" else tiny(request.param, 3)


@pytest.fixture(scope="module")
def expected(network) -> list[int]:
    """Without any cache: the whole text again for each token."""
    tokens = list(PROMPT)
    with torch.no_grad():
        for _ in range(COUNT):
            answer = network(input_ids=torch.tensor([tokens]), use_cache=False)
            tokens.append(int(answer.logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


def in_torch(step: DecodingStep):
    def run(arrays):
        with torch.no_grad():
            return [one.numpy() for one in step(*map(torch.from_numpy, arrays))]

    return run


def cache_of(step: DecodingStep, places: int = PLACES):
    return tuple(one.numpy() for one in step.empty_cache(places))


def test_it_continues_as_the_whole_network_does(network, expected: list[int]) -> None:
    step = DecodingStep(network)
    assert decode_greedily(in_torch(step), PROMPT, COUNT, cache_of(step)) == expected


def test_what_lies_at_its_place_and_behind_does_not_matter(network) -> None:
    step = DecodingStep(network)
    token, place = torch.tensor([[3]]), torch.tensor([[2]])
    keys, values = (torch.randn_like(one) for one in step.empty_cache(PLACES))
    with torch.no_grad():
        scores, *_ = step(token, place, keys, values)
        keys[:, :, 2:], values[:, :, 2:] = 100.0, -100.0
        again, *_ = step(token, place, keys, values)
        keys[:, :, 1] = 1.0
        other, *_ = step(token, place, keys, values)
    torch.testing.assert_close(again, scores)
    assert (other - scores).abs().max() > 1e-4


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_runtime_continues_as_torch_does(
    network, expected: list[int], runtime: str, tmp_path: Path
) -> None:
    step, found = DecodingStep(network).eval(), find_runtime(runtime)
    cache = cache_of(step)
    inputs = (torch.tensor([[3]]), torch.tensor([[0]]), *map(torch.from_numpy, cache))
    session = found.load(found.export(step, inputs, tmp_path).path, 1)
    assert decode_greedily(session.run, PROMPT, COUNT, cache) == expected


def test_a_cache_that_is_too_small_is_refused(network) -> None:
    step = DecodingStep(network)
    message = r"room for 10 tokens, not for a prompt of 4 and 12 more"
    with pytest.raises(ValueError, match=message):
        decode_greedily(in_torch(step), PROMPT, COUNT, cache_of(step, 10))
    assert len(decode_greedily(in_torch(step), PROMPT, 7, cache_of(step, 10))) == 7
