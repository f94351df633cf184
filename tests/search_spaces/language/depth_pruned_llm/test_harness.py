"""lm-evaluation-harness scores our networks on tasks of our own as their definition says."""

import random
from pathlib import Path

import pytest
import torch

from search_spaces.language.depth_pruned_llm import harness
from search_spaces.language.depth_pruned_llm.harness import (
    OPEN_LLM_V1,
    ChoiceQuestion,
    HarnessTask,
    evaluate,
    mean_of,
    write_choice_task,
)
from search_spaces.language.depth_pruned_llm.network import small_llama, word_tokenizer
from search_spaces.recipe import Estimate

pytest.importorskip("lm_eval", reason="needs archfront[harness]")
pytestmark = pytest.mark.slow

LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = small_llama(2)
    for weight in network.parameters():  # fresh ones find all choices equally likely
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return network


@pytest.fixture(scope="module")
def questions() -> list[ChoiceQuestion]:
    drawing = random.Random(0)
    asked = [drawing.sample(LETTERS, 4) for _ in range(24)]
    return [
        ChoiceQuestion(
            "reverse " + " ".join(letters),
            (" ".join(letters), " ".join(reversed(letters)), " ".join(letters[1:])),
            place % 3,
        )
        for place, letters in enumerate(asked)
    ]


def likeliest(network, question: ChoiceQuestion) -> int:
    """By its definition: the choice of the largest sum of log probabilities."""
    tokenizer = word_tokenizer()
    before = tokenizer(question.question, add_special_tokens=False)["input_ids"]
    sums = []
    for choice in question.choices:
        after = tokenizer(choice, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            scores = network(input_ids=torch.tensor([before + after])).logits[0].log_softmax(-1)
        places = range(len(before) - 1, len(before) + len(after) - 1)
        sums.append(sum(float(scores[at, token]) for at, token in zip(places, after, strict=True)))
    return sums.index(max(sums))


def test_the_accuracy_is_that_of_the_likeliest_choices(network, questions, tmp_path: Path) -> None:
    task = write_choice_task(tmp_path, "own_letters", questions)
    network.train()
    found = evaluate(network, word_tokenizer(), [task], folder=tmp_path)["own_letters"]
    assert network.training  # as it was
    network.eval()
    right = [likeliest(network, one) == one.right for one in questions]
    assert 0 < sum(right) < len(right)
    assert found.mean == pytest.approx(sum(right) / len(right))
    share = found.mean
    assert found.sem == pytest.approx((share * (1 - share) / (len(right) - 1)) ** 0.5, rel=1e-6)


def test_a_limit_takes_the_first_questions(network, questions, tmp_path: Path) -> None:
    task = write_choice_task(tmp_path, "few_letters", questions)
    network.eval()
    found = evaluate(network, word_tokenizer(), [task], folder=tmp_path, limit=8)["few_letters"]
    right = [likeliest(network, one) == one.right for one in questions[:8]]
    assert found.mean == pytest.approx(sum(right) / 8)


def test_the_harness_knows_the_papers_tasks_and_what_it_does_not_know_is_told(network) -> None:
    tasks = [*OPEN_LLM_V1, HarnessTask("no_such_task", 0, "acc,none")]
    with pytest.raises(KeyError, match="has no task no_such_task; see: lm-eval ls tasks"):
        evaluate(network, word_tokenizer(), tasks)
    assert [task.examples for task in OPEN_LLM_V1] == [25, 10, 0, 5, 5, 5]


@pytest.mark.parametrize(
    ("name", "questions", "told"),
    [
        ("two words", [ChoiceQuestion("a", ("b",), 0)], "'two words' is no word"),
        ("empty", [], "empty has no questions"),
        ("wrong", [ChoiceQuestion("a", ("b", "c"), 2)], "question 0 of wrong: .* number 2 of 2"),
    ],
)
def test_what_makes_no_task_is_refused(
    tmp_path: Path, name: str, questions: list[ChoiceQuestion], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        write_choice_task(tmp_path, name, questions)
    assert list(tmp_path.iterdir()) == []


def test_without_the_harness_it_says_what_to_install(network, monkeypatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'archfront\[harness\]'"):
        evaluate(network, word_tokenizer(), [])


def test_the_mean_over_tasks_has_their_errors() -> None:
    mean = mean_of({"one": Estimate(0.5, 0.03), "other": Estimate(0.7, 0.04)})
    assert mean.mean == pytest.approx(0.6)
    assert mean.sem == pytest.approx(0.025)
    assert mean_of({"one": Estimate(0.5, 0.03), "other": Estimate(0.7)}).sem is None
