"""The encoder of commands: hashed n-grams in, intent and one tag per word out.

Shape legend: B commands (1 on the device), T words, G n-grams per word, E embedding width,
D encoder width, H heads, K width of one head, I intents, S tags.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from search_spaces.arm import Arm
from search_spaces.compression.structured import kept_count

INTENT_COUNT = 42
TAG_COUNT = 51
MAX_POSITIONS = 16

_MASKED = -1e4  # added to scores of padding; finite, so that no row of a softmax can be NaN

_EMBEDDING_STD = 0.1
_POSITION_SCALE = 0.2
_BRANCH_SCALE = 0.1
_BRANCH_ENDS = ("attention.output.weight", "ffn_out.weight", "pointwise.weight")

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass(frozen=True)
class EncoderShape:
    """All that decides the shapes of a network's weights and its forward pass."""

    embedding_buckets: int
    embedding_dim: int
    width: int
    layers: int
    heads: int
    head_dim: int
    ffn_width: int
    conv_layers: int
    conv_kernel: int
    activation: str
    norm_placement: str
    pooling: str
    slots_see_intent: bool
    dropout: float = 0.0

    @classmethod
    def of_parent(cls, arm: Arm) -> "EncoderShape":
        """The network that is trained before anything is pruned."""
        given = arm.parameters
        width = int(given["width"])
        conv_layers = int(given["conv_layers"])
        return cls(
            embedding_buckets=int(given["embedding_buckets"]),
            embedding_dim=int(given["embedding_dim"]),
            width=width,
            layers=int(given["layers"]),
            heads=int(given["heads"]),
            head_dim=int(given["head_dim"]),
            ffn_width=round(float(given["ffn_ratio"]) * width),
            conv_layers=conv_layers,
            conv_kernel=int(given["conv_kernel"]) if conv_layers else 1,
            activation=str(given["activation"]),
            norm_placement=str(given["norm_placement"]),
            pooling=str(given["pooling"]),
            slots_see_intent=bool(given["slots_see_intent"]),
            dropout=float(given["dropout"]),
        )

    @classmethod
    def of_deployed(cls, arm: Arm) -> "EncoderShape":
        """The network that is shipped: layers dropped, pruned neurons and heads really gone."""
        parent = cls.of_parent(arm)
        given = arm.parameters
        heads, ffn_width = parent.heads, parent.ffn_width
        if given["attention_pruning"] == "heads":
            heads = kept_count(heads, float(given["attention_sparsity"]))
        if given["ffn_pruning"] == "neurons":
            ffn_width = kept_count(ffn_width, float(given["ffn_sparsity"]))
        return replace(
            parent,
            layers=parent.layers - int(given["dropped_layers"]),
            heads=heads,
            ffn_width=ffn_width,
        )


def _sinusoids(width: int) -> Tensor:
    """Sines and cosines of falling frequency, one row per position [Vaswani et al. 2017]."""
    position = torch.arange(MAX_POSITIONS).unsqueeze(1)
    frequency = torch.exp(-math.log(100.0) * torch.arange(0, width, 2) / width)
    angles = position * frequency
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class SelfAttention(nn.Module):
    """Multi-head attention whose heads need not divide the encoder's width."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.heads, self.head_dim = shape.heads, shape.head_dim
        inner = shape.heads * shape.head_dim
        self.query = nn.Linear(shape.width, inner)
        self.key = nn.Linear(shape.width, inner)
        self.value = nn.Linear(shape.width, inner)
        self.output = nn.Linear(inner, shape.width)

    def forward(self, x: Tensor, score_bias: Tensor) -> Tensor:
        """x: B x T x D; score_bias: B x 1 x 1 x T, very negative at padding. Gives B x T x D."""
        batch, words, _ = x.shape
        split = (batch, words, self.heads, self.head_dim)
        query = self.query(x).view(split).transpose(1, 2)  # B x H x T x K
        key = self.key(x).view(split).transpose(1, 2)
        value = self.value(x).view(split).transpose(1, 2)
        scores = query @ key.transpose(2, 3) * self.head_dim**-0.5 + score_bias  # B x H x T x T
        mixed = scores.softmax(dim=-1) @ value
        joined = mixed.transpose(1, 2).reshape(batch, words, self.heads * self.head_dim)
        output: Tensor = self.output(joined)
        return output


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network, each with a residual and a norm."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.norms_first = shape.norm_placement == "pre"
        self.attention = SelfAttention(shape)
        self.attention_norm = nn.LayerNorm(shape.width)
        self.ffn_in = nn.Linear(shape.width, shape.ffn_width)
        self.ffn_out = nn.Linear(shape.ffn_width, shape.width)
        self.ffn_norm = nn.LayerNorm(shape.width)
        self.activation = _ACTIVATIONS[shape.activation]()
        self.dropout = nn.Dropout(shape.dropout)

    def _ffn(self, x: Tensor) -> Tensor:
        y: Tensor = self.ffn_out(self.activation(self.ffn_in(x)))
        return y

    def forward(self, x: Tensor, score_bias: Tensor) -> Tensor:
        """B x T x D to B x T x D."""
        if self.norms_first:
            y: Tensor = x + self.dropout(self.attention(self.attention_norm(x), score_bias))
            y = y + self.dropout(self._ffn(self.ffn_norm(y)))
        else:
            y = self.attention_norm(x + self.dropout(self.attention(x, score_bias)))
            y = self.ffn_norm(y + self.dropout(self._ffn(y)))
        return y


class ConvLayer(nn.Module):
    """A depthwise convolution over neighbouring words, then a pointwise one, with a residual."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.depthwise = nn.Conv1d(
            shape.width,
            shape.width,
            shape.conv_kernel,
            padding=shape.conv_kernel // 2,
            groups=shape.width,
        )
        self.pointwise = nn.Linear(shape.width, shape.width)
        self.activation = _ACTIVATIONS[shape.activation]()
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, is_word: Tensor) -> Tensor:
        """x: B x T x D; is_word: B x T x 1, 0 at padding, which stays invisible to neighbours."""
        y = (self.norm(x) * is_word).transpose(1, 2)
        y = self.activation(self.depthwise(y).transpose(1, 2))
        z: Tensor = x + self.dropout(self.pointwise(y))
        return z


class CommandEncoder(nn.Module):
    """Joint intent classifier and slot tagger for one command at a time or a batch."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.embedding_buckets, shape.embedding_dim, padding_idx=0)
        self.projection = nn.Linear(shape.embedding_dim, shape.width)
        self.positions = nn.Parameter(torch.zeros(MAX_POSITIONS, shape.width))
        self.convolutions = nn.ModuleList(ConvLayer(shape) for _ in range(shape.conv_layers))
        self.layers = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.pooling_score = nn.Linear(shape.width, 1) if shape.pooling == "attention" else None
        self.intent_head = nn.Linear(shape.width, INTENT_COUNT)
        self.intent_to_slots = (
            nn.Linear(INTENT_COUNT, shape.width, bias=False) if shape.slots_see_intent else None
        )
        self.slot_head = nn.Linear(shape.width, TAG_COUNT)
        self.dropout = nn.Dropout(shape.dropout)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Starts from residual branches near zero and positions near a sinusoid.

        Branches that add little at first let deep stacks train as fast as shallow ones (De &
        Smith 2020, arXiv 2002.10444), and positions that differ from the start matter where
        only a thousand steps are taken.
        """
        self.embedding.weight.normal_(std=_EMBEDDING_STD)
        self.embedding.weight[0].zero_()
        self.positions.copy_(_POSITION_SCALE * _sinusoids(self.shape.width))
        for name, weight in self.named_parameters():
            if name.endswith(_BRANCH_ENDS):
                weight.mul_(_BRANCH_SCALE)

    def hidden_states(self, ngrams: Tensor) -> list[Tensor]:
        """What enters layer 0, 1, ... and what leaves the last one; each B x T x D."""
        is_word = (ngrams[:, :, :1] != 0).to(self.positions.dtype)  # B x T x 1
        score_bias = ((1.0 - is_word) * _MASKED).transpose(1, 2).unsqueeze(1)  # B x 1 x 1 x T
        x = self.projection(self.embedding(ngrams).sum(dim=2))
        x = self.dropout(x + self.positions[: ngrams.shape[1]])
        for convolution in self.convolutions:
            x = convolution(x, is_word)
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], score_bias))
        return states

    def _pooled(self, x: Tensor, is_word: Tensor) -> Tensor:
        """B x T x D to B x D over the words that are no padding."""
        if self.pooling_score is not None:
            scores: Tensor = self.pooling_score(x) + (1.0 - is_word) * _MASKED
            return (scores.softmax(dim=1) * x).sum(dim=1)
        if self.shape.pooling == "max":
            return (x + (1.0 - is_word) * _MASKED).amax(dim=1)
        return (x * is_word).sum(dim=1) / is_word.sum(dim=1)

    def forward(self, ngrams: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the intents, B x I, and of each word's tags, B x T x S.

        ngrams: B x T x G int64, bucket numbers; 0 fills up words, and words fill up with zeros.
        """
        is_word = (ngrams[:, :, :1] != 0).to(self.positions.dtype)
        x = self.norm(self.hidden_states(ngrams)[-1])
        intent_scores = self.intent_head(self.dropout(self._pooled(x, is_word)))
        if self.intent_to_slots is not None:
            x = x + self.intent_to_slots(intent_scores.softmax(dim=-1)).unsqueeze(1)
        return intent_scores, self.slot_head(self.dropout(x))


def prunable_linears(network: CommandEncoder, group: str) -> Sequence[nn.Linear]:
    """The weight matrices of one group of layers: `ffn` or `attention`."""
    linears: list[nn.Linear] = []
    for layer in network.layers:
        assert isinstance(layer, EncoderLayer)  # noqa: S101  (nn.ModuleList forgets its type)
        if group == "ffn":
            linears += [layer.ffn_in, layer.ffn_out]
        else:
            attention = layer.attention
            linears += [attention.query, attention.key, attention.value, attention.output]
    return linears
