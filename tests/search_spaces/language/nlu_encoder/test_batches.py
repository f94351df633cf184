import numpy as np
import pytest
import torch

from search_spaces.language.nlu_encoder.batches import IGNORED_TAG, CommandTensors
from search_spaces.language.nlu_encoder.commands import CommandData, LabelledCommands


def tensors_of(lengths, buckets=50):
    count, longest = len(lengths), 16
    is_word = np.arange(longest) < np.array(lengths)[:, None]
    # word number = command number + 1, so that a batch tells which commands it holds
    words = np.where(is_word, np.arange(1, count + 1)[:, None], 0)
    split = LabelledCommands(
        words=words,
        tags=np.where(is_word, 3, 0),
        intents=np.arange(count),
        lengths=np.array(lengths),
    )
    hashes = np.zeros((count + 1, 10), dtype=np.int64)
    hashes[1:, :4] = np.arange(count * 4).reshape(count, 4) * 7919 + 1
    data = CommandData(split, split, split, ("a",), ("O",), hashes)
    return CommandTensors(data, split, buckets)


LENGTHS = [1 + (7 * number) % 16 for number in range(100)]


def test_in_order_gives_every_command_once_at_full_length():
    batches = list(tensors_of(LENGTHS).in_order(32))
    assert torch.cat([batch.intents for batch in batches]).tolist() == list(range(100))
    assert {batch.ngrams.shape[1:] for batch in batches} == {(16, 10)}


def test_padding_is_bucket_zero_and_counts_nowhere():
    (batch,) = tensors_of([2, 16]).in_order(2)
    assert (batch.ngrams[0, :2, 0] > 0).all()
    assert not batch.ngrams[0, 2:].any()
    assert batch.tags[0].tolist() == [3, 3] + [IGNORED_TAG] * 14
    assert (batch.tags[1] == 3).all()


@pytest.mark.parametrize("size", [1, 8, 32, 1000])
def test_a_pass_visits_no_command_twice(size):
    tensors = tensors_of(LENGTHS)
    batches = tensors.shuffled(size, torch.Generator().manual_seed(0))
    size = min(size, 100)
    for _ in range(2):
        seen = [intent for _ in range(100 // size) for intent in next(batches).intents.tolist()]
        assert len(seen) == len(set(seen)) == size * (100 // size)


def test_training_batches_are_cut_to_their_longest_command():
    batches = tensors_of(LENGTHS).shuffled(8, torch.Generator().manual_seed(0))
    for _ in range(30):
        batch = next(batches)
        assert (batch.tags[:, -1] != IGNORED_TAG).any()


def test_the_order_is_a_function_of_the_seed():
    def first(seed):
        batches = tensors_of(LENGTHS).shuffled(8, torch.Generator().manual_seed(seed))
        return [next(batches).intents.tolist() for _ in range(20)]

    assert first(3) == first(3)
    assert first(3) != first(4)
