"""Draws the commands of the training, validation and test split, no template in two of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from search_spaces.language.nlu_encoder.derivation import Command, derive
from search_spaces.language.nlu_encoder.grammar import Template

MAX_WORDS = 16
"""Longer commands (less than 0.1 % of the grammar's) are not drawn; the device pads to this."""

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.25
TRAINING_DRAWS = 8
"""Commands per training template; the other splits have one each, so that they count alike."""

_ATTEMPTS = 8  # draws until a template is given up


@dataclass(frozen=True)
class Splits:
    """Commands with the text of the template each was drawn from."""

    training: Sequence[tuple[Template, Command]]
    validation: Sequence[tuple[Template, Command]]
    test: Sequence[tuple[Template, Command]]


def _split_names(templates: Iterable[Template], rng: Random) -> dict[tuple[str, str], str]:
    """The split of each (language, template text), drawn within each language and intent."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for template in templates:
        key = (template.language, template.text)
        if key not in seen:  # one text may serve several intents
            seen.add(key)
            groups[template.language, template.intent].append(key)
    split: dict[tuple[str, str], str] = {}
    for _, keys in sorted(groups.items()):
        rng.shuffle(keys)
        test = round(TEST_SHARE * len(keys))
        validation = test + round(VALIDATION_SHARE * len(keys))
        for place, key in enumerate(keys):
            split[key] = (
                "test" if place < test else "validation" if place < validation else "training"
            )
    return split


def _fitting(template: Template, rng: Random) -> Command | None:
    for _ in range(_ATTEMPTS):
        command = derive(template, rng)
        if command is not None and len(command.words) <= MAX_WORDS:
            return command
    return None


def _without_two_readings(
    drawn: Mapping[str, list[tuple[Template, Command]]],
) -> dict[str, list[tuple[Template, Command]]]:
    """Each text once, and none that the grammar reads in two ways (only context could tell)."""
    readings: dict[tuple[str, ...], set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    for pairs in drawn.values():
        for _, command in pairs:
            readings[command.language, *command.words].add((command.intent, command.tags))
    kept: dict[str, list[tuple[Template, Command]]] = {}
    for name, pairs in drawn.items():
        once: dict[Command, Template] = {}
        for template, command in pairs:
            if len(readings[command.language, *command.words]) == 1:
                once.setdefault(command, template)
        kept[name] = [(template, command) for command, template in once.items()]
    return kept


def draw_splits(templates: Sequence[Template], seed: int) -> Splits:
    """Commands of all templates; deterministic in (templates, seed).

    Held-out commands come from templates never trained on, and a held-out command whose
    pattern (see `Command.pattern`) also arises in training is drawn again or left out.
    """
    rng = Random(seed)
    split = _split_names(templates, rng)
    drawn: dict[str, list[tuple[Template, Command]]] = {
        "training": [],
        "validation": [],
        "test": [],
    }
    for template in templates:
        if split[template.language, template.text] == "training":
            commands = [_fitting(template, rng) for _ in range(TRAINING_DRAWS)]
            drawn["training"] += [(template, command) for command in commands if command]
    trained = {(command.language, command.pattern) for _, command in drawn["training"]}
    for template in templates:
        name = split[template.language, template.text]
        if name == "training":
            continue
        for _ in range(_ATTEMPTS):
            command = _fitting(template, rng)
            if command is not None and (command.language, command.pattern) not in trained:
                drawn[name].append((template, command))
                break
    kept = _without_two_readings(drawn)
    return Splits(kept["training"], kept["validation"], kept["test"])
