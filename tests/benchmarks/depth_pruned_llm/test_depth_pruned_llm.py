import json
from dataclasses import replace

import pytest

from benchmarks.depth_pruned_llm.__main__ import main
from benchmarks.depth_pruned_llm.records import SETTINGS, Setting, keep, text_of, wins
from benchmarks.depth_pruned_llm.recovery import (
    ARMS,
    LONGER,
    MERGED,
    NOT_RECOVERED,
    RATES,
    SIZES,
    Case,
    Outcome,
    cases,
)
from benchmarks.records import read

NETWORKS_OF_A_KIND = len(SETTINGS) + 2 * len(RATES)  # at each rate one merged, one trained longer

OUTCOME = Outcome(
    figures={
        "accuracy_recovery": 80.0,
        "tuned_accuracy": 0.9,
        "forgetting": 0.1,
        "acceptance_rate": 0.7,
        "perplexity": 1.5,
    },
    notes={"removed_blocks": "4,5", "unpruned_accuracy": 0.95, "responses_accepted": 1500},
    cpu_s=30.0,
)


def test_arms_of_a_seed_differ_in_what_the_case_names():
    found = list(cases([7]))
    assert len({case.name for case in found}) == len(found) == 1 + 2 * NETWORKS_OF_A_KIND
    for case in found:
        if case.responses == NOT_RECOVERED:
            continue
        given = dict(case.arm.parameters)
        assert given.pop("responses") == case.responses
        assert given.pop("exchanges") == case.exchanges
        assert given.pop("learning_rate") == case.learning_rate
        differing = given.items() - found[0].arm.parameters.items()
        assert (
            differing
            == {
                "": set(),
                LONGER: {("seen_exchanges", 5120)},
                MERGED: {("merging", "slerp"), ("merge_share", 0.5)},
            }[case.variant]
        )


@pytest.fixture
def lines(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.records.version", lambda _: "1.0")
    for case in cases([0, 1, 2]):
        better = 5.0 * (case.responses == "self_distilled") * (-1 if case.seed == 2 else 1)
        figures = {**OUTCOME.figures, "accuracy_recovery": 80.0 + better + case.seed}
        keep(case, replace(OUTCOME, figures=figures), tmp_path / "results.jsonl")
    return read(tmp_path / "results.jsonl")


def test_the_page_tells_medians_spreads_and_who_won(lines):
    page = text_of(lines)
    assert (
        "| self-distilled responses (SDD) | 85.0 (77.0 to 86.0) | 85.0 (77.0 to 86.0) | 91.2 |"
        in page
    )
    assert "| given responses (SFT) | 81.0 (80.0 to 82.0) | 81.0 (80.0 to 82.0) | 81.7 |" in page
    assert "| 1600 | 0.0003 | +5.0 (-5.0 to +5.0) | 2 of 3 |" in page
    assert "| self-distilled responses (SDD) | merged | 0.0003 | 85.0 (77.0 to 86.0) |" in page
    assert "93.8 (93.8 to 93.8) % held the right answer" in page


def test_arms_are_compared_seed_by_seed(lines):
    def recovery(line):
        return line["outcome"]["figures"]["accuracy_recovery"]

    at = Setting(SIZES[0])
    assert wins(lines, recovery, at) == pytest.approx([5.0, 5.0, -5.0])
    without = [line for line in lines if line["case"]["name"] != "given, 100, 0.0001, seed 1"]
    assert wins(without, recovery, at) == pytest.approx([5.0, -5.0])


def test_what_is_kept_is_not_run_again(tmp_path, monkeypatch):
    results, ran = tmp_path / "results.jsonl", []
    monkeypatch.setattr("benchmarks.records.version", lambda _: "1.0")

    def run(case, *_):
        ran.append(case)
        return OUTCOME

    monkeypatch.setattr("benchmarks.depth_pruned_llm.__main__.run", run)
    keep(Case(0, NOT_RECOVERED), OUTCOME, results)
    keep(Case(0, ARMS[1], SIZES[0]), OUTCOME, results)
    arguments = ["run", "--seeds", "0", "--results", str(results), "--cache", str(tmp_path)]
    main(arguments)
    assert len(ran) == 2 * NETWORKS_OF_A_KIND - 1
    main(arguments)
    assert len(ran) == 2 * NETWORKS_OF_A_KIND - 1
    assert len({json.dumps(line["case"]) for line in read(results)}) == 1 + 2 * NETWORKS_OF_A_KIND
