"""The parameters of pruning a language model's depth and of recovering its quality.

After Thangarasa et al. 2024, who remove runs of decoder blocks and fine-tune what remains on data
that the unpruned model has written anew; README.md beside this module says what is kept.
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

_IF_PRUNED = Condition(parameter="removed_blocks", values=(1, 2, 3, 4))
_IF_ADAPTED = Condition(parameter="tuning", values=("lora",))
_IF_MERGED = Condition(parameter="merging", values=("slerp",))

_PRUNING: tuple[Parameter, ...] = (
    IntParameter(name="removed_blocks", low=0, high=4),
    ChoiceParameter(
        name="removal_criterion",
        values=("angular", "block_influence", "last"),
        when=_IF_PRUNED,
    ),
    ChoiceParameter(name="calibration_texts", values=(16, 64, 256), when=_IF_PRUNED),
)

_RECOVERY: tuple[Parameter, ...] = (
    ChoiceParameter(name="responses", values=("given", "self_distilled")),
    ChoiceParameter(name="exchanges", values=(100, 400, 1600)),
    ChoiceParameter(name="tuning", values=("full", "lora")),
    ChoiceParameter(name="lora_rank", values=(4, 8, 16), when=_IF_ADAPTED),
    ChoiceParameter(name="lora_alpha_ratio", values=(1, 2), when=_IF_ADAPTED),
    ChoiceParameter(name="lora_targets", values=("all", "attention", "mlp"), when=_IF_ADAPTED),
    FloatParameter(name="learning_rate", low=1e-4, high=1e-2, scale="log"),
    FloatParameter(name="warmup_share", low=0.0, high=0.2),
    IntParameter(name="batch_size", low=16, high=64, scale="log"),
    ChoiceParameter(name="seen_exchanges", values=(1280, 2560, 5120)),
    ChoiceParameter(name="merging", values=("none", "slerp")),
    FloatParameter(name="merge_share", low=0.1, high=0.9, when=_IF_MERGED),
)

_EXPORT: tuple[Parameter, ...] = (
    ChoiceParameter(name="export_precision", values=("fp32", "int8_dynamic")),
)

_BASELINE = Arm(
    parameters={
        "removed_blocks": 3,
        "removal_criterion": "angular",
        "calibration_texts": 64,
        "responses": "self_distilled",
        "exchanges": 1600,
        "tuning": "lora",
        "lora_rank": 8,
        "lora_alpha_ratio": 2,
        "lora_targets": "all",
        "learning_rate": 3e-4,
        "warmup_share": 0.1,
        "batch_size": 32,
        "seen_exchanges": 2560,
        "merging": "none",
        "export_precision": "fp32",
    }
)

SEARCH_SPACE = SearchSpace(
    name="depth_pruned_llm",
    version=3,
    title="A language model pruned in depth and recovered by self-data distillation",
    description=(
        "How many and which decoder blocks a small chat model of the Llama architecture loses, and "
        "how it is fine-tuned after it: on the responses that were given or on those the unpruned "
        "model wrote in their place, with low-rank adapters or all weights, alone or merged with a "
        "second network that was tuned on another task; and in which precision it is exported. The "
        "model is brought up from nothing on five tasks; all five are tested."
    ),
    citation=Citation(
        title=("Self-Data Distillation for Recovering Quality in Pruned Large Language Models"),
        authors="Thangarasa, Venkatesh, Lasby, Sinnadurai, Lie",
        year=2024,
        url="https://arxiv.org/abs/2410.09982",
    ),
    space=ParameterSpace(
        parameters=_PRUNING + _RECOVERY + _EXPORT,
        evaluation_parameters=("export_precision",),
    ),
    metrics=(
        MetricDefinition(
            name="mean_accuracy",
            better="higher",
            stage="train",
            description="Share of right answers over the test exchanges of all tasks.",
        ),
        MetricDefinition(
            name="accuracy_recovery",
            unit="%",
            better="higher",
            stage="train",
            description="The mean accuracy in per cent of the unpruned model's.",
        ),
        MetricDefinition(
            name="tuned_accuracy",
            better="higher",
            stage="train",
            description="Share of right answers on the one task of the first fine-tuning set.",
        ),
        MetricDefinition(
            name="forgetting",
            better="lower",
            stage="train",
            description=(
                "How far the mean accuracy on the three tasks that no fine-tuning set has lies "
                "below the unpruned model's; negative if it is better."
            ),
        ),
        MetricDefinition(
            name="perplexity",
            better="lower",
            stage="train",
            description="Per token of the test responses in the unpruned model's own way.",
        ),
        MetricDefinition(
            name="flops_per_token",
            unit="FLOP",
            better="lower",
            stage="train",
            description="Of one token without context: products with the blocks and the head.",
        ),
        MetricDefinition(
            name="acceptance_rate",
            better="higher",
            stage="train",
            description=(
                "Share of tokens accepted by the unpruned model when the pruned one drafts for it, "
                "four at a time, in greedy speculative decoding."
            ),
        ),
        MetricDefinition(
            name="train_loss",
            unit="nat",
            better="lower",
            stage="train",
            description="Mean training loss over the last twentieth of the (second) fine-tuning.",
        ),
        MetricDefinition(
            name="tokens_per_s",
            unit="tokens/s",
            better="higher",
            stage="measure",
            by_device=True,
            description="Steps of decoding in a second, with room for a whole prompt and answer.",
        ),
        MetricDefinition(
            name="deployed_accuracy",
            better="higher",
            stage="measure",
            by_device=True,
            description=(
                "Share of right answers to every second test of the network as it is exported, in "
                "its runtime and precision."
            ),
        ),
    ),
    baseline=_BASELINE,
    # How right an export still is, trained weights alone tell.
    measures_untrained=False,
    precision_parameter="export_precision",
)
