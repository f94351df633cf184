from itertools import takewhile

import torch

from search_spaces.language.depth_pruned_llm.chat_tasks import LETTERS, LetterChat, is_held_out
from search_spaces.language.depth_pruned_llm.unpruned import (
    bring_up,
    cache_path,
    lesson,
    load_unpruned,
)
from tests.search_spaces.language.depth_pruned_llm.families import transformers  # noqa: F401


def weights_of(network):
    return torch.cat([weight.flatten() for weight in network.state_dict().values()])


def test_it_is_brought_up_once_and_read_after_it(tmp_path):
    before = torch.get_rng_state()
    first = load_unpruned(tmp_path, seed=0, steps=2)
    path = cache_path(tmp_path, seed=0, steps=2)
    written = path.stat().st_mtime_ns
    again = load_unpruned(tmp_path, seed=0, steps=2)
    assert torch.equal(weights_of(first), weights_of(again))
    assert torch.equal(weights_of(first), weights_of(bring_up(0, 2)))
    assert not first.training
    assert path.stat().st_mtime_ns == written
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_and_steps_give_models_of_their_own(tmp_path):
    paths = {cache_path(tmp_path, seed, steps) for seed in (0, 1) for steps in (1, 2)}
    assert len(paths) == 4
    assert not torch.equal(weights_of(bring_up(0, 1)), weights_of(bring_up(1, 1)))


def test_lessons_are_fresh_right_and_never_of_a_test():
    chat = LetterChat()
    shown = 0
    for step in range(8):
        assert lesson(step, 0) == lesson(step, 0)
        prompts, responses = lesson(step, 0)
        for prompt, response in zip(prompts, responses, strict=True):
            words = prompt.split()
            assert not is_held_out("".join(takewhile(LETTERS.__contains__, words[2:])))
            if "<reference>" in words:
                shown += 1
                reference = " ".join(words[words.index("<reference>") + 1 : -1])
                assert chat.answer_in(reference) == chat.answer_in(response)
    assert shown == 2 * len(prompts)
    assert lesson(0, 0) != lesson(1, 0)
    assert lesson(0, 0) != lesson(0, 1)
