"""The parameters of the command encoder's architecture, compression and training recipe.

After Eriksson et al. 2021, who tune 24 parameters of an on-device parser of assistant commands
against its latency; README.md beside this module says what is kept and what differs.
"""

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterConstraint, ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
)
from search_spaces.space import Citation, SearchSpace

_ENCODER: tuple[Parameter, ...] = (
    ChoiceParameter(name="embedding_buckets", values=(1024, 2048, 4096, 8192)),
    IntParameter(name="embedding_dim", low=16, high=96, step=16),
    IntParameter(name="width", low=32, high=192, step=16),
    IntParameter(name="layers", low=1, high=4),
    IntParameter(name="heads", low=1, high=6),
    ChoiceParameter(name="head_dim", values=(8, 16, 24, 32)),
    FloatParameter(name="ffn_ratio", low=0.5, high=3.0, step=0.5),
    IntParameter(name="conv_layers", low=0, high=2),
    ChoiceParameter(
        name="conv_kernel",
        values=(3, 5, 7),
        when=Condition(parameter="conv_layers", values=(1, 2)),
    ),
    ChoiceParameter(name="activation", values=("relu", "gelu", "silu")),
    ChoiceParameter(name="norm_placement", values=("pre", "post")),
    ChoiceParameter(name="pooling", values=("mean", "max", "attention")),
    BoolParameter(name="slots_see_intent"),
)

_COMPRESSION: tuple[Parameter, ...] = (
    IntParameter(name="dropped_layers", low=0, high=2),
    ChoiceParameter(
        name="drop_criterion",
        values=("angular", "alternate", "last"),
        when=Condition(parameter="dropped_layers", values=(1, 2)),
    ),
    ChoiceParameter(name="ffn_pruning", values=("none", "neurons", "unstructured", "two_of_four")),
    FloatParameter(
        name="ffn_sparsity",
        low=0.1,
        high=0.9,
        when=Condition(parameter="ffn_pruning", values=("neurons", "unstructured")),
    ),
    ChoiceParameter(
        name="attention_pruning", values=("none", "heads", "unstructured", "two_of_four")
    ),
    FloatParameter(
        name="attention_sparsity",
        low=0.1,
        high=0.9,
        when=Condition(parameter="attention_pruning", values=("heads", "unstructured")),
    ),
    ChoiceParameter(name="embedding_sparsity", values=(0.0, 0.5, 0.75, 0.9)),
    ChoiceParameter(name="sparsity_schedule", values=("one_shot", "cubic")),
)

_RECIPE: tuple[Parameter, ...] = (
    FloatParameter(name="learning_rate", low=1e-3, high=1e-2, scale="log"),
    FloatParameter(name="warmup_share", low=0.0, high=0.2),
    FloatParameter(name="weight_decay", low=1e-4, high=0.3, scale="log"),
    FloatParameter(name="dropout", low=0.0, high=0.2),
    FloatParameter(name="label_smoothing", low=0.0, high=0.1),
    IntParameter(name="batch_size", low=16, high=64, scale="log"),
    FloatParameter(name="slot_loss_weight", low=0.5, high=4.0, scale="log"),
    FloatParameter(name="recovery_share", low=0.2, high=0.6),
    FloatParameter(name="recovery_lr_ratio", low=0.2, high=1.0, scale="log"),
)

_BASELINE = Arm(
    parameters={
        "embedding_buckets": 4096,
        "embedding_dim": 48,
        "width": 128,
        "layers": 3,
        "heads": 4,
        "head_dim": 32,
        "ffn_ratio": 2.0,
        "conv_layers": 1,
        "conv_kernel": 3,
        "activation": "gelu",
        "norm_placement": "pre",
        "pooling": "mean",
        "slots_see_intent": True,
        "dropped_layers": 0,
        "ffn_pruning": "none",
        "attention_pruning": "none",
        "embedding_sparsity": 0.0,
        "sparsity_schedule": "one_shot",
        "learning_rate": 3e-3,
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "batch_size": 32,
        "slot_loss_weight": 1.0,
        "recovery_share": 0.3,
        "recovery_lr_ratio": 0.5,
    }
)

SEARCH_SPACE = SearchSpace(
    name="nlu_encoder",
    version=1,
    title="On-device understanding of voice-assistant commands",
    description=(
        "Joint intent classification and slot tagging of smart-home commands in eight languages, "
        "on sentence templates never seen in training. Searches the size of a transformer "
        "encoder, how many layers are dropped from the trained parent, how sparse its groups of "
        "layers are, and the training recipe."
    ),
    citation=Citation(
        title="Latency-Aware Neural Architecture Search with Multi-Objective Bayesian Optimization",
        authors="Eriksson, Chuang, Daulton, Xia, Shrivastava, Babu, Zhao, Aly, Venkatesh, Balandat",
        year=2021,
        url="https://arxiv.org/abs/2106.11890",
    ),
    space=ParameterSpace(
        parameters=_ENCODER + _COMPRESSION + _RECIPE,
        constraints=(
            # at least one layer stays
            ParameterConstraint(
                coefficients={"dropped_layers": 1.0, "layers": -1.0}, upper_bound=-1.0
            ),
            # what one thread trains in about half a minute
            ParameterConstraint(coefficients={"width": 1.0, "layers": 32.0}, upper_bound=256.0),
        ),
    ),
    metrics=(
        MetricDefinition(
            name="frame_error",
            better="lower",
            stage="train",
            description="Share of test commands whose intent or any slot is wrong.",
        ),
        MetricDefinition(
            name="intent_error",
            better="lower",
            stage="train",
            description="Share of test commands whose intent is wrong.",
        ),
        MetricDefinition(
            name="slot_error",
            better="lower",
            stage="train",
            description="1 - F1 of the slots of the test commands (name, begin and end right).",
        ),
        MetricDefinition(
            name="validation_frame_error",
            better="lower",
            stage="train",
            description="Frame error on the validation commands, from templates of their own.",
        ),
        MetricDefinition(
            name="train_loss",
            unit="nat",
            better="lower",
            stage="train",
            description="Mean training loss over the last twentieth of the steps.",
        ),
    ),
    baseline=_BASELINE,
    # Neurons, heads and layers are cut by count, and no runtime here gains from single zeros.
    measures_untrained=True,
)
