import torch

from search_spaces.compression.two_four_sparsity.command_embedding import INTENTS
from search_spaces.compression.two_four_sparsity.intents import BUCKETS
from search_spaces.compression.two_four_sparsity.task import in_order, load_task


def test_commands_of_every_intent_in_three_splits(cache_folder):
    task = load_task("lstm", cache_folder)
    assert task is load_task("lstm", cache_folder)
    assert len(task.training) > 10 * len(task.test) > 10 * len(task.validation)
    inputs, labels = task.training.take(torch.arange(len(task.training)))
    assert int(inputs.max()) < BUCKETS
    assert set(labels.tolist()) == set(range(INTENTS))
    assert sum(len(examples.labels) for examples in in_order(task.test, 256)) == len(task.test)


def test_batches_are_as_long_as_their_longest_command_and_go_on(cache_folder):
    training = load_task("lstm", cache_folder).training
    batches = training.shuffled(16, torch.Generator().manual_seed(0))
    first = [next(batches) for _ in range(5)]
    assert all(bool((one.inputs[:, -1] != 0).any()) for one in first)
    assert len({one.inputs.shape[1] for one in first}) > 1
    kept = batches.state()
    later = next(batches)
    other = training.shuffled(16, torch.Generator().manual_seed(5))
    other.restore(kept)
    assert torch.equal(next(other).inputs, later.inputs)
