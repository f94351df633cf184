"""How well a network reads commands: frames, intents and slots, each with its noise.

A frame is right if the intent and every word's tag are. Slots are scored as in the CoNLL-2000
shared task (Tjong Kim Sang & Buchholz 2000): a slot is right if its name, begin and end are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from search_spaces.language.nlu_encoder.batches import IGNORED_TAG, CommandTensors
from search_spaces.language.nlu_encoder.network import CommandEncoder
from search_spaces.recipe import Estimate

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class FrameScores:
    """Errors in [0, 1], lower is better; n is the number of commands."""

    frame_error: Estimate
    intent_error: Estimate
    slot_error: Estimate


def slots(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The slots that B-, I- and O tags mark: (name, first word, word after the last).

    An I- tag that continues nothing of its name begins a slot, as in the CoNLL script.
    """
    found = set()
    name, begin = "", 0
    for place, tag in enumerate([*tags, "O"]):
        if name and tag != f"I-{name}":
            found.add((name, begin, place))
            name = ""
        if tag != "O" and not name:
            name, begin = tag[2:], place
    return found


def error_share(wrong: int, n: int) -> Estimate:
    """wrong/n and its binomial standard error.

    The standard error is taken at (wrong + 1)/(n + 2), so that no error seen is not no noise.
    """
    smoothed = (wrong + 1) / (n + 2)
    return Estimate(mean=wrong / n, sem=math.sqrt(smoothed * (1 - smoothed) / n), n=n)


def slot_error(counts: Sequence[tuple[int, int]]) -> Estimate:
    """1 - F1 over all slots, from (right, expected + predicted) of each command.

    F1 is a ratio of sums; its standard error is that of the linearised ratio (delta method),
    with one imagined command of one slot on the less likely side, so that it is never 0.
    """
    total = sum(both for _, both in counts)
    if total == 0:
        return Estimate(mean=0.0, sem=None, n=len(counts))
    f1 = 2 * sum(right for right, _ in counts) / total
    imagined = 2 * max(f1, 1.0 - f1)
    spread = math.fsum((2 * right - f1 * both) ** 2 for right, both in counts) + imagined**2
    return Estimate(mean=1.0 - f1, sem=math.sqrt(spread) / (total + 2), n=len(counts))


@torch.no_grad()
def score(
    network: CommandEncoder, commands: CommandTensors, tag_names: Sequence[str]
) -> FrameScores:
    """Scores a network, which must be in eval mode, on every command of a split."""
    wrong_frames = wrong_intents = 0
    slot_counts: list[tuple[int, int]] = []
    for batch in commands.in_order(_EVALUATION_BATCH):
        intent_scores, tag_scores = network(batch.ngrams)
        intent_wrong = intent_scores.argmax(dim=-1) != batch.intents
        is_word = batch.tags != IGNORED_TAG
        predicted = tag_scores.argmax(dim=-1)
        tags_wrong = ((predicted != batch.tags) & is_word).any(dim=1)
        wrong_intents += int(intent_wrong.sum())
        wrong_frames += int((intent_wrong | tags_wrong).sum())
        for given, expected in zip(predicted.tolist(), batch.tags.tolist(), strict=True):
            length = sum(tag != IGNORED_TAG for tag in expected)
            found = slots([tag_names[tag] for tag in given[:length]])
            real = slots([tag_names[tag] for tag in expected[:length]])
            slot_counts.append((len(found & real), len(found) + len(real)))
    return FrameScores(
        frame_error=error_share(wrong_frames, len(commands)),
        intent_error=error_share(wrong_intents, len(commands)),
        slot_error=slot_error(slot_counts),
    )
