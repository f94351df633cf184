"""The search over really trained networks: a short one for real, and its page."""

from pathlib import Path

import pytest

from benchmarks.nlu_search.__main__ import main, search
from benchmarks.nlu_search.records import TRIALS, dominating, text_of
from benchmarks.nlu_search.trained import TrainedArms
from benchmarks.records import read
from search_spaces.language.nlu_encoder.space import SEARCH_SPACE
from service.domain.device import MeasurementSettings


@pytest.mark.alone
@pytest.mark.slow
def test_arms_are_trained_and_measured_once(tmp_path: Path) -> None:
    table, results = tmp_path / "trained.jsonl", tmp_path / "searches.jsonl"
    brief = MeasurementSettings(min_pairs=16, relative_ci=0.5, time_limit_s=0.5)
    arms = TrainedArms(table, tmp_path / "cache", max_steps=2, settings=brief)
    search(arms, "sobol", 0, 2, results)
    trained = read(table)
    assert len(trained) == 3  # the baseline with them
    for line in trained:
        assert 0 < line["frame_error"] <= 1
        assert 0.01 < line["latency_ms"] < 10
        assert line["latency_ms_sem"] > 0
        assert line["versions"].keys() == {"python", "torch", "onnxruntime", "numpy"}
    (kept,) = read(results)
    assert len(kept["hypervolume"]) == 2
    baseline = arms.line_of(SEARCH_SPACE.baseline)
    assert kept["baseline"] == [baseline["frame_error"], baseline["latency_ms"]]
    # Whoever reads the table has the same search at no cost.
    search(TrainedArms(table, tmp_path / "no-cache"), "sobol", 0, 2, results)
    assert read(table) == trained
    assert read(results)[1]["hypervolume"] == kept["hypervolume"]
    main(["run", "--optimizers", "sobol", "--seeds", "0", "--results", str(results)])
    assert len(read(results)) == 2  # what is kept is not run again


def test_what_dominates_is_no_worse_in_both() -> None:
    front = [[0.2, 0.3], [0.3, 0.2], [0.4, 0.1], [0.5, 0.05]]
    assert dominating(front, [0.4, 0.2]) == 2
    assert dominating(front, [0.1, 0.01]) == 0
    assert dominating([[0.4, 0.2]], [0.4, 0.2]) == 0


def told(optimizer: str, seed: int, last: float, front: list[list[float]]) -> dict:
    return {
        "optimizer": optimizer,
        "seed": seed,
        "hypervolume": [last / 2] * (TRIALS - 1) + [last],
        "front": front,
        "baseline": [0.4, 0.2],
        "cpu_s": 12.0,
        "commit": "abc",
    }


def test_the_page_tells_whether_both_bars_are_met() -> None:
    trained = [
        {
            "train_cpu_s": 60.0,
            "noisy": False,
            "machine": "2 cores",
            "versions": {"torch": "2.13.0"},
            "commit": "def",
            "measurement_commit": "123",
        }
    ]
    searches = [told("sobol", seed, 0.10, []) for seed in range(3)]
    good = [told("auto", seed, 0.12, [[0.3, 0.2]]) for seed in range(3)]
    page = text_of(searches + good, trained)
    row = "| auto | 3 | {half} | {half} | 0.1200 (0.1200 to 0.1200) | 1.200 (1.200 to 1.200) |"
    assert row.format(half="0.0600 (0.0600 to 0.0600)") in page
    assert "| 1 (1 to 1) | 12 (12 to 12) | yes |" in page
    one_without = [*good[:2], told("auto", 2, 0.12, [[0.5, 0.2]])]
    assert "| 1 (0 to 1) | 12 (12 to 12) | **no** |" in text_of(searches + one_without, trained)
    little = [told("auto", seed, 0.109, [[0.3, 0.2]]) for seed in range(3)]
    assert "**no**" in text_of(searches + little, trained)
