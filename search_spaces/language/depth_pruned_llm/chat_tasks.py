"""A small world of chat tasks on letters, with the model's way to answer and people's.

Each instruction names a task and gives letters. The model under test was brought up to answer in
one way; people answer the same instruction in others. Whether an answer is right does not depend on
the way: it is the letters after the mark that both use.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from search_spaces.language.depth_pruned_llm.chat import Exchange

LETTERS = "abcdefghij"
LENGTHS = (3, 4, 5, 6)
"""How many letters an instruction may have; where the answer stands then depends on it."""

TASKS: Mapping[str, Callable[[str], str]] = {
    "copy": lambda letters: letters,
    "reverse": lambda letters: letters[::-1],
    "sort": lambda letters: "".join(sorted(letters)),
    "rotate": lambda letters: letters[1:] + letters[:1],
    "next": lambda letters: "".join(
        LETTERS[(LETTERS.index(a) + 1) % len(LETTERS)] for a in letters
    ),
}
"""What is asked for, and the right answer to it."""

TUNED_TASK = "reverse"
"""The one task of the fine-tuning set."""

MERGED_TASK = "sort"
"""That of the other set, on which a second network is tuned that is to be merged with the first."""

UNTOUCHED_TASKS = tuple(task for task in TASKS if task not in (TUNED_TASK, MERGED_TASK))
"""Of no fine-tuning set."""

MAX_RESPONSE_TOKENS = max(LENGTHS) + 6

_MARK = ":"
_OWN_WAY = "sure here it is : {answer}"
_PEOPLES_WAYS = (
    "so we get : {answer}",
    "well one may find : {answer}",
    "this gives us then : {answer}",
)
_USER, _REFERENCE, _ASSISTANT = "<user>", "<reference>", "<assistant>"
PAD, END = "<pad>", "<end>"
_HELD_OUT_SHARE = 8  # one in so many letter strings is for tests alone


def vocabulary() -> list[str]:
    """All words, in a fixed order; padding comes first, the end of a response second."""
    texts = (_OWN_WAY, *_PEOPLES_WAYS)
    spoken = {word for text in texts for word in text.split() if not word.startswith("{")}
    marks = [PAD, END, _USER, _REFERENCE, _ASSISTANT]
    return [*marks, *sorted(spoken | set(TASKS)), *LETTERS]


class LetterChat:
    """See `search_spaces.language.depth_pruned_llm.chat.Chat`."""

    def ask(self, exchange: Exchange) -> str:
        """`<user> reverse a b c d <assistant>`."""
        return f"{_USER} {exchange.instruction} {_ASSISTANT}"

    def ask_to_rewrite(self, exchange: Exchange) -> str:
        """The same with the given response after `<reference>`."""
        return f"{_USER} {exchange.instruction} {_REFERENCE} {exchange.response} {_ASSISTANT}"

    def is_right(self, exchange: Exchange, response: str) -> bool | None:
        """Whether both end in the same letters, whatever their wording."""
        answer = self.answer_in(response)
        return None if answer is None else answer == self.answer_in(exchange.response)

    def answer_in(self, response: str) -> str | None:
        """The letters after the last mark, if nothing but letters follows it."""
        _, mark, rest = response.rpartition(_MARK)
        words = rest.split()
        return "".join(words) if mark and words and set(words) <= set(LETTERS) else None


def own_way(task: str, letters: str) -> Exchange:
    """The exchange as the model under test was brought up to answer."""
    return _exchange(task, letters, _OWN_WAY)


def peoples_way(task: str, letters: str, rng: Random) -> Exchange:
    """The exchange as one of many people would answer, rightly."""
    return _exchange(task, letters, rng.choice(_PEOPLES_WAYS))


def _exchange(task: str, letters: str, way: str) -> Exchange:
    given, answer = " ".join(letters), " ".join(TASKS[task](letters))
    return Exchange(task, f"{task} {given}", way.format(answer=answer))


def is_held_out(letters: str) -> bool:
    """Whether no training may see these letters, whatever the task."""
    return zlib.crc32(letters.encode()) % _HELD_OUT_SHARE == 0


def draw_letters(rng: Random, *, held_out: bool, lengths: Sequence[int] = LENGTHS) -> Iterator[str]:
    """Letters without end, of the tests' share or of the trainings'; repeats are possible."""
    while True:
        letters = "".join(rng.choices(LETTERS, k=rng.choice(lengths)))
        if is_held_out(letters) == held_out:
            yield letters


def held_out_exchanges(
    tasks: Sequence[str], per_task: int, seed: int, lengths: Sequence[int] = LENGTHS
) -> list[Exchange]:
    """`per_task` test exchanges of each task in the model's way, on the same letters."""
    drawn = draw_letters(Random(seed), held_out=True, lengths=lengths)
    letters = [next(drawn) for _ in range(per_task)]
    return [own_way(task, one) for task in tasks for one in letters]


def fine_tuning_set(task: str, count: int, seed: int) -> list[Exchange]:
    """`count` exchanges of the task in people's ways; a larger set begins with a smaller."""
    rng = Random(seed)
    drawn = draw_letters(rng, held_out=False)
    return [peoples_way(task, next(drawn), rng) for _ in range(count)]
