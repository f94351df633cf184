"""The benchmark's own parts; the model itself is not here, a small one of its family is."""

import math

import pytest
import torch

from benchmarks.records import read
from benchmarks.smollm2 import records, texts
from benchmarks.smollm2.figures import choices, perplexity, response_agreement
from benchmarks.smollm2.model import SmolChat, gguf_folder
from benchmarks.smollm2.model_folder import write_folder
from benchmarks.smollm2.recovery import ARMS, Case, Outcome, cases, removed_by
from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_llm.fine_tuning import TokenizedExchange, padded
from search_spaces.language.depth_pruned_llm.network import BLOCKS, small_llama, word_tokenizer
from search_spaces.language.depth_pruned_pretrained.model_folder import VARIABLE, read_folder


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return small_llama(BLOCKS).eval()


@pytest.mark.parametrize(
    ("said", "is_right"),
    [
        ("It was Richard Nixon.", True),
        ("richard nixon!", True),
        ("It was Nixon, Richard.", False),
        ("Richard Nixonson", False),
        ("", None),
        ("...", None),
    ],
)
def test_a_response_is_right_if_the_given_one_occurs_in_it(said, is_right):
    exchange = Exchange("trivia", "Who?", "The Richard Nixon")
    assert SmolChat(None).is_right(exchange, said) is is_right


def test_agreement_and_perplexity_are_those_of_the_definition(network):
    exchanges = [TokenizedExchange((5, 6, 7, 8), 2), TokenizedExchange((5, 9, 8), 1)]
    batch = padded(exchanges, 0)
    scores = network(input_ids=batch.tokens).logits.detach().log_softmax(-1)
    places = [(0, 1, 7), (0, 2, 8), (1, 0, 9), (1, 1, 8)]
    right = sum(int(scores[row, place].argmax()) == token for row, place, token in places)
    nats = -sum(float(scores[row, place, token]) for row, place, token in places) / 4
    share, found = response_agreement(network, [batch])
    assert share == right / 4
    assert found == pytest.approx(math.exp(nats), rel=1e-5)
    # in batches or one by one
    apart = [padded([one], 0) for one in exchanges]
    assert response_agreement(network, apart) == pytest.approx((share, found), rel=1e-5)


def test_a_network_agrees_with_itself_wherever_its_texts_are_cut(network):
    tokens = torch.randint(0, 20, (11, 12))
    assert choices(network, tokens).equal(network(input_ids=tokens).logits.argmax(-1))
    each = [math.log(perplexity(network, one[None])) for one in tokens]
    assert math.log(perplexity(network, tokens)) == pytest.approx(sum(each) / 11, rel=1e-5)


class Words:
    """One token for each letter."""

    def __call__(self, text, **_):
        return {"input_ids": [ord(one) % 256 for one in text]}


def test_prose_for_tests_is_other_prose_than_that_for_calibration():
    tests, calibration = (texts.prose(Words(), 4, 64, for_tests=which) for which in (True, False))
    assert tests.shape == calibration.shape == (4, 64)
    assert not tests.equal(calibration)


def test_each_question_has_its_own_answer_among_others():
    exchanges = [Exchange("trivia", f"question {n}", f"answer {n % 5}") for n in range(12)]

    class Plain:
        def ask(self, exchange):
            return exchange.instruction

    questions = texts.with_choices(exchanges, Plain())
    assert questions == texts.with_choices(exchanges, Plain())
    for exchange, question in zip(exchanges, questions, strict=True):
        assert question.question == exchange.instruction
        assert len(set(question.choices)) == 4
        assert question.choices[question.right] == exchange.response
    assert len({question.right for question in questions}) > 1


def test_missing_packages_are_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr("benchmarks.smollm2.model.find_spec", lambda _: None)
    monkeypatch.setattr("benchmarks.smollm2.texts.find_spec", lambda _: None)
    for missing in (gguf_folder, lambda: texts.exchanges_of("trivia")):
        with pytest.raises(ModuleNotFoundError, match="make bench-smollm2"):
            missing()


def test_each_question_counts_once_and_tests_are_apart(monkeypatch, tmp_path):
    asked = "".join(f"- - question {n % 20}\n  - answer {n}\n" for n in range(40))
    (tmp_path / "trivia.yml").write_text(f"conversations:\n{asked}- - alone\n", encoding="utf-8")
    monkeypatch.setattr(texts, "_corpus", lambda: tmp_path)
    tuned, tests = texts.tuned_exchanges()
    assert len(tuned) == 16
    assert len(tests) == 4
    found = {one.instruction: one.response for one in tuned + tests}
    assert found == {f"question {n}": f"answer {n}" for n in range(20)}


FIGURES = {
    "prose_perplexity": 40.0,
    "prose_agreement": 0.5,
    "response_agreement": 0.6,
    "response_perplexity": 3.0,
    "trivia_accuracy": 0.1,
    "trivia_choice_accuracy": 0.3,
}


def test_the_page_tells_who_won_and_by_how_much_chance_is_worse(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.records.version", lambda _: "1.0")
    for case in cases([0, 1, 2]):
        own = case.responses == "self_distilled"
        figures = dict(FIGURES)
        figures["prose_perplexity"] *= 5 + case.seed if case.chosen_by == "random" else 1
        figures["prose_perplexity"] -= 1 if own else 0
        figures["prose_agreement"] += 0.1 if own and case.seed else 0
        notes = {"removed_blocks": [1, 2], "accepted": 190, "wrong": 10, "unanswered": 1}
        records.keep(case, Outcome(figures, notes, 60.0), tmp_path / "results.jsonl")
    page = records.text_of(read(tmp_path / "results.jsonl"))
    assert "| prose_perplexity | below | 3 of 3 |" in page
    assert "| prose_agreement | above | 2 of 3 |" in page
    assert "| response_agreement | above | 0 of 3 |" in page
    assert "| 4 | angular | 12.0 (5.0 to 19.0) |" in page
    assert "Of 201 responses that the unpruned model wrote 190 held" in page


def test_random_blocks_are_drawn_by_the_seed_alone(network):
    class Given:
        pass

    given = Given()
    given.network = network
    draws = [removed_by(Case(3, "random", seed=seed), given) for seed in (0, 1, 2, 0)]
    assert draws[0] == draws[3]
    assert len(set(draws)) > 1
    assert all(len(set(draw)) == 3 and max(draw) < BLOCKS for draw in draws)
    assert {case.responses for case in cases([0])} == {"", *ARMS}


def test_its_folder_is_one_that_the_search_space_reads(network, tmp_path, monkeypatch):
    pytest.importorskip("chatterbot_corpus", reason="needs archfront[smollm2]")
    write_folder(tmp_path / "own", network, word_tokenizer())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    folder = read_folder()
    assert {one.task for one in folder.tests} - folder.tuned_tasks == {"literature", "science"}
    asked = {one.instruction for one in folder.tuning}
    assert not asked & {one.instruction for one in folder.tests}
    assert len(folder.prose) > 100_000
