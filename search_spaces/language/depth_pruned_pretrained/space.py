"""The parameters of pruning the depth of a language model of one's own, and of recovering it.

After Thangarasa et al. 2024, as `depth_pruned_llm`; README.md beside this module says what the
folder with the model and its data holds.
"""

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
)
from search_spaces.space import Citation, SearchSpace

_MOST_REMOVED = 16

_IF_PRUNED = Condition(parameter="removed_blocks", values=tuple(range(1, _MOST_REMOVED + 1)))
_IF_ADAPTED = Condition(parameter="tuning", values=("lora",))
_IF_MERGED = Condition(parameter="merging", values=("slerp",))

_PARAMETERS: tuple[Parameter, ...] = (
    IntParameter(name="removed_blocks", low=0, high=_MOST_REMOVED),
    ChoiceParameter(
        name="removal_criterion", values=("angular", "block_influence", "last"), when=_IF_PRUNED
    ),
    ChoiceParameter(name="calibration_texts", values=(16, 64), when=_IF_PRUNED),
    ChoiceParameter(name="responses", values=("given", "self_distilled")),
    ChoiceParameter(name="exchanges", values=(100, 500, 2_000, 8_000)),
    ChoiceParameter(name="tuning", values=("full", "lora")),
    ChoiceParameter(name="lora_rank", values=(4, 8, 16, 32, 64), when=_IF_ADAPTED),
    ChoiceParameter(name="lora_alpha_ratio", values=(1, 2), when=_IF_ADAPTED),
    ChoiceParameter(name="lora_targets", values=("all", "attention", "mlp"), when=_IF_ADAPTED),
    FloatParameter(name="learning_rate", low=1e-5, high=1e-3, scale="log"),
    FloatParameter(name="warmup_share", low=0.0, high=0.2),
    IntParameter(name="batch_size", low=4, high=64, scale="log"),
    ChoiceParameter(name="seen_exchanges", values=(400, 1_600, 6_400, 25_600)),
    ChoiceParameter(name="merging", values=("none", "slerp")),
    FloatParameter(name="merge_share", low=0.1, high=0.9, when=_IF_MERGED),
    ChoiceParameter(name="export_precision", values=("fp32", "int8_dynamic")),
)


def _metric(
    name: str, better: str, description: str, unit: str = "", *, stage: str = "train"
) -> MetricDefinition:
    return MetricDefinition.model_validate(
        {
            "name": name,
            "better": better,
            "description": description,
            "unit": unit,
            "stage": stage,
            "by_device": stage == "measure",
        }
    )


SEARCH_SPACE = SearchSpace(
    name="depth_pruned_pretrained",
    version=1,
    title="A language model of one's own, pruned in depth and recovered",
    description=(
        "How many and which decoder blocks a causal language model of the transformers library "
        "loses, how it is fine-tuned after it (on the responses that were given or on those the "
        "unpruned model wrote in their place, with low-rank adapters or all weights, alone or "
        "merged with a second network), and in which precision it is exported. Model and data are "
        "in a folder that the worker's environment names."
    ),
    citation=Citation(
        title="Self-Data Distillation for Recovering Quality in Pruned Large Language Models",
        authors="Thangarasa, Venkatesh, Lasby, Sinnadurai, Lie",
        year=2024,
        url="https://arxiv.org/abs/2410.09982",
    ),
    space=ParameterSpace(parameters=_PARAMETERS, evaluation_parameters=("export_precision",)),
    metrics=(
        _metric("mean_accuracy", "higher", "Share of right answers to all tests."),
        _metric(
            "accuracy_recovery",
            "higher",
            "The mean accuracy in per cent of the unpruned model's.",
            "%",
        ),
        _metric(
            "forgetting",
            "lower",
            "How far the accuracy on the tasks that no fine-tuning set has lies below the unpruned "
            "model's; negative if it is better.",
        ),
        _metric("perplexity", "lower", "Per token of the second half of the prose."),
        _metric(
            "agreement",
            "higher",
            "Share of the places of that prose at which it would go on as the unpruned model.",
        ),
        _metric(
            "flops_per_token",
            "lower",
            "Of one token without context: products with the blocks and the head.",
            "FLOP",
        ),
        _metric(
            "acceptance_rate",
            "higher",
            "Share of tokens accepted by the unpruned model when the pruned one drafts for it, "
            "four at a time, in greedy speculative decoding.",
        ),
        _metric(
            "train_loss",
            "lower",
            "Mean training loss over the last twentieth of the (second) fine-tuning.",
            "nat",
        ),
        _metric(
            "tokens_per_s",
            "higher",
            "Steps of decoding in a second, with room for a whole prompt and answer.",
            "tokens/s",
            stage="measure",
        ),
        _metric(
            "deployed_accuracy",
            "higher",
            "Share of right answers to at most 50 tests of the network as it is exported, in its "
            "runtime and precision.",
            stage="measure",
        ),
    ),
    baseline=Arm(
        parameters={
            "removed_blocks": 4,
            "removal_criterion": "angular",
            "calibration_texts": 64,
            "responses": "self_distilled",
            "exchanges": 500,
            "tuning": "lora",
            "lora_rank": 8,
            "lora_alpha_ratio": 2,
            "lora_targets": "all",
            "learning_rate": 1e-4,
            "warmup_share": 0.1,
            "batch_size": 4,
            "seen_exchanges": 400,
            "merging": "none",
            "export_precision": "fp32",
        }
    ),
    # How right an export still is, trained weights alone tell.
    measures_untrained=False,
    precision_parameter="export_precision",
)
