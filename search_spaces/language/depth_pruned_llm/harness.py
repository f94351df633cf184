"""Scores a language model by lm-evaluation-harness: on one's own choices, or on the paper's tasks.

Questions of one's own become a task of the harness on disk, and need no network. The tasks of the
Open LLM Leaderboard, by which the paper scores, are the harness's own, whose data it fetches.

[Gao2024] Gao, Tow, Abbasi et al., The Language Model Evaluation Harness, 2024.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from search_spaces.recipe import Estimate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness by its name, with as many examples before each question.

    figure: the one that it is judged by, with its filter, as the harness names both.
    """

    name: str
    examples: int
    figure: str


OPEN_LLM_V1 = (
    HarnessTask("arc_challenge", 25, "acc_norm,none"),
    HarnessTask("hellaswag", 10, "acc_norm,none"),
    HarnessTask("truthfulqa_mc2", 0, "acc,none"),
    HarnessTask("mmlu", 5, "acc,none"),
    HarnessTask("winogrande", 5, "acc,none"),
    HarnessTask("gsm8k", 5, "exact_match,strict-match"),
)
"""The tasks of the paper's average."""


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question and what may be answered; right: the place of the right one, from 0."""

    question: str
    choices: tuple[str, ...]
    right: int


def write_choice_task(folder: Path, name: str, questions: Sequence[ChoiceQuestion]) -> HarnessTask:
    """Writes the questions as a task of the harness into `folder`, for `evaluate` to find.

    It is judged by the choice that is likeliest as a continuation of the question.
    Raises: ValueError for a name that is no word, for no questions, or a right choice not there.
    """
    if not name.isidentifier():
        raise ValueError(f"the task's name {name!r} is no word; take letters, digits and _ alone")
    if not questions:
        raise ValueError(f"the task {name} has no questions; give it one at least")
    for place, one in enumerate(questions):
        if not 0 <= one.right < len(one.choices):
            raise ValueError(
                f"question {place} of {name}: the right choice is number {one.right} of "
                f"{len(one.choices)}; they count from 0"
            )
    folder.mkdir(parents=True, exist_ok=True)
    data = folder.absolute() / f"{name}.jsonl"
    lines = [
        json.dumps({"question": one.question, "choices": one.choices, "right": one.right})
        for one in questions
    ]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "right",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return HarnessTask(name, 0, "acc,none")


def evaluate(
    network: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    tasks: Sequence[HarnessTask],
    *,
    folder: Path | None = None,
    limit: int | None = None,
    batch_size: int = 16,
) -> dict[str, Estimate]:
    """The figure of each task with its standard error, by the harness's own account.

    folder: where tasks of one's own lie. limit: of questions of each task, for a trial.
    Raises: ModuleNotFoundError without the extra `harness`; KeyError naming a task that the harness
        does not know.
    """
    if find_spec("lm_eval") is None:
        raise ModuleNotFoundError(
            "lm-evaluation-harness is not installed; run: pip install 'archfront[harness]'",
            name="lm_eval",
        )
    from lm_eval import simple_evaluate  # noqa: PLC0415  (an extra, and seconds to import)
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415
    from lm_eval.tasks import TaskManager  # noqa: PLC0415

    own = set() if folder is None else {path.stem for path in folder.glob("*.yaml")}
    manager = TaskManager(
        include_path=None if folder is None else str(folder),
        # It takes seconds to list the harness's own.
        include_defaults=any(task.name not in own for task in tasks),
    )
    unknown = [task.name for task in tasks if task.name not in manager.all_tasks]
    if unknown:
        raise KeyError(f"the harness has no task {', '.join(unknown)}; see: lm-eval ls tasks")
    found = {}
    with _as_it_was(network):
        model = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=batch_size)
        for task in tasks:
            told = simple_evaluate(
                model=model,
                tasks=[task.name],
                num_fewshot=task.examples,
                task_manager=manager,
                limit=limit,
                bootstrap_iters=1_000,  # 0 would leave out every standard error
            )
            found[task.name] = _estimate(told["results"][task.name], task)
    return found


def mean_of(scores: Mapping[str, Estimate]) -> Estimate:
    """The unweighted mean over tasks, as leaderboards average, and its standard error.

    That is None where a task tells none.
    """
    errors = [one.sem for one in scores.values()]
    told = [error for error in errors if error is not None]
    sem = math.hypot(*told) / len(scores) if len(told) == len(errors) else None
    return Estimate(sum(one.mean for one in scores.values()) / len(scores), sem)


def _estimate(told: Mapping[str, Any], task: HarnessTask) -> Estimate:
    metric, _, of_filter = task.figure.partition(",")
    sem = told.get(f"{metric}_stderr,{of_filter}")
    return Estimate(
        mean=float(told[task.figure]), sem=float(sem) if isinstance(sem, int | float) else None
    )


@contextmanager
def _as_it_was(network: "PreTrainedModel") -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
