"""A small language model of the Llama architecture, its vocabulary, and how it is deployed.

transformers is imported where a network or a tokenizer is made, so that the extra that brings it
is missed only there.

Shapes: B texts, T tokens, V words of the vocabulary.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from search_spaces.language.depth_pruned_llm.chat_tasks import END, PAD, vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BLOCKS = 6
"""Of the unpruned model."""

_WIDTH, _HEADS, _FFN_WIDTH = 64, 4, 192
_PLACES = 64  # the longest prompt and response


def small_llama(blocks: int) -> "PreTrainedModel":
    """The model with `blocks` decoder blocks and fresh weights, from torch's random state."""
    from transformers import AutoModelForCausalLM, LlamaConfig  # noqa: PLC0415  (see above)

    words = vocabulary()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=_WIDTH,
        intermediate_size=_FFN_WIDTH,
        num_hidden_layers=blocks,
        num_attention_heads=_HEADS,
        num_key_value_heads=_HEADS,
        max_position_embeddings=_PLACES,
        tie_word_embeddings=False,
        pad_token_id=words.index(PAD),
        eos_token_id=words.index(END),
        bos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(config)


def word_tokenizer() -> "PreTrainedTokenizerBase":
    """One token for each word of the small world; words are parted by spaces."""
    from tokenizers import Tokenizer  # noqa: PLC0415  (see above)
    from tokenizers.models import WordLevel  # noqa: PLC0415
    from tokenizers.pre_tokenizers import WhitespaceSplit  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    words = Tokenizer(WordLevel({word: row for row, word in enumerate(vocabulary())}, PAD))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=PAD, eos_token=END)


class NextToken(nn.Module):
    """The language model as it is deployed: what comes after the tokens so far."""

    def __init__(self, language_model: "PreTrainedModel") -> None:
        super().__init__()
        self.language_model = language_model

    def forward(self, tokens: Tensor) -> tuple[Tensor]:
        """B x T int64 token numbers without padding to B x V scores of the next token."""
        answer = self.language_model(input_ids=tokens, use_cache=False, logits_to_keep=1)
        return (answer.logits[:, -1],)
