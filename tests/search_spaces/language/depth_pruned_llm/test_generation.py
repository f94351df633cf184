import pytest

from search_spaces.language.depth_pruned_llm.generation import respond
from search_spaces.language.depth_pruned_llm.network import small_llama, word_tokenizer
from tests.search_spaces.language.depth_pruned_llm.families import transformers  # noqa: F401

PROMPTS = ["<user> copy a b <assistant>", "<user> sort j <assistant>", "<user> next <assistant>"]


@pytest.fixture
def network():
    return small_llama(2).eval()


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_prompts_of_different_lengths_are_answered_as_if_alone(network, batch_size):
    tokenizer = word_tokenizer()
    together = respond(network, tokenizer, PROMPTS, 6, batch_size)
    alone = [respond(network, tokenizer, [prompt], 6)[0] for prompt in PROMPTS]
    assert together == alone


def test_a_response_is_no_longer_than_asked_and_training_goes_on_after_it(network):
    network.train()
    responses = respond(network, word_tokenizer(), PROMPTS, 4)
    assert all(len(response.split()) <= 4 for response in responses)
    assert network.training
    assert respond(network, word_tokenizer(), [], 4) == []
