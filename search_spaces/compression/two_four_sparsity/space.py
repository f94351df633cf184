"""The parameters of a small network, of the zeros in it, and of its retraining.

After Mishra et al. 2021, whose recipe is the baseline; README.md beside this module says what is
kept and what differs.
"""

from search_spaces.arm import Arm
from search_spaces.metric import MetricDefinition
from search_spaces.parameter_space import ParameterSpace
from search_spaces.parameters import (
    BoolParameter,
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
)
from search_spaces.space import Citation, SearchSpace

_FREE_PATTERNS = ("unstructured", "block_1x8", "block_8x1", "block_16x1")
_IS_SPARSE = Condition(parameter="pattern", values=("two_of_four", *_FREE_PATTERNS))
_HAS_A_LEVEL = Condition(parameter="pattern", values=_FREE_PATTERNS)
_IS_TWO_OF_FOUR = Condition(parameter="pattern", values=("two_of_four",))

_NETWORK: tuple[Parameter, ...] = (
    ChoiceParameter(name="network", values=("convolution", "transformer", "lstm")),
    IntParameter(name="width", low=16, high=64, step=16),
    IntParameter(name="layers", low=1, high=3),
)

_SPARSITY: tuple[Parameter, ...] = (
    ChoiceParameter(name="pattern", values=("none", "two_of_four", *_FREE_PATTERNS)),
    FloatParameter(name="sparsity", low=0.25, high=0.95, when=_HAS_A_LEVEL),
    ChoiceParameter(name="sparsity_schedule", values=("one_shot", "cubic"), when=_HAS_A_LEVEL),
    ChoiceParameter(
        name="mask_criterion", values=("magnitude", "wanda", "random"), when=_IS_SPARSE
    ),
    ChoiceParameter(name="sparse_scope", values=("all", "feed_forward"), when=_IS_SPARSE),
    BoolParameter(name="dense_first_last", when=_IS_SPARSE),
    BoolParameter(name="permute", when=_IS_TWO_OF_FOUR),
)

_RECIPE: tuple[Parameter, ...] = (
    FloatParameter(name="learning_rate", low=1e-3, high=1e-2, scale="log"),
    FloatParameter(name="retrain_share", low=0.0, high=1.0),
    FloatParameter(name="retrain_lr_ratio", low=0.1, high=1.0, scale="log"),
)

_BASELINE = Arm(
    parameters={
        "network": "convolution",
        "width": 32,
        "layers": 2,
        "pattern": "two_of_four",
        "mask_criterion": "magnitude",
        "sparse_scope": "all",
        "dense_first_last": True,
        "permute": False,
        "learning_rate": 3e-3,
        "retrain_share": 1.0,
        "retrain_lr_ratio": 1.0,
    }
)


def _trained(
    name: str, description: str, unit: str = "", *, higher: bool = False
) -> MetricDefinition:
    return MetricDefinition(
        name=name,
        unit=unit,
        better="higher" if higher else "lower",
        stage="train",
        description=description,
    )


SEARCH_SPACE = SearchSpace(
    name="two_four_sparsity",
    version=1,
    title="Sparse networks by one mask and a retraining",
    description=(
        "A convolutional network on handwritten digits, a Transformer encoder or an LSTM on "
        "commands of a voice assistant is trained dense, masked (2 of every 4, single weights or "
        "blocks) and trained again under the mask. Errors compare within one kind of network "
        "alone: fix `network` in an experiment."
    ),
    citation=Citation(
        title="Accelerating Sparse Deep Neural Networks",
        authors="Mishra, Latorre, Pool, Stosic, Stosic, Venkatesh, Yu, Micikevicius",
        year=2021,
        url="https://arxiv.org/abs/2104.08378",
    ),
    space=ParameterSpace(parameters=_NETWORK + _SPARSITY + _RECIPE),
    metrics=(
        _trained("error", "Share of wrong answers on the test examples, after retraining."),
        _trained(
            "validation_error", "Share of wrong answers on the validation examples, as `error`."
        ),
        _trained("dense_error", "Test error of the dense network, before the mask."),
        _trained("zero_shot_error", "Test error of the masked network, before retraining."),
        _trained(
            "kept_magnitude",
            "Share of the magnitude of the sparse layers that the mask left, before retraining.",
            higher=True,
        ),
        _trained(
            "packed_bytes", "Weights at 16 bits, the zeros of the sparse layers packed away.", "B"
        ),
        _trained("train_loss", "Mean training loss over the last twentieth of the steps.", "nat"),
    ),
    baseline=_BASELINE,
    # A runtime that skips blocks of zeros measures the trained network otherwise than a dense one.
    measures_untrained=False,
)
