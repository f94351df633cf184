"""The folder with a model of one's own and its data: where it is, what is in it, and its checks.

Importing this module imports neither torch nor transformers.

    model/          as `save_pretrained` of a causal language model and of its tokenizer writes it
    tuning.jsonl    the fine-tuning set, an exchange a line:
                    {"task": "trivia", "instruction": "...", "response": "..."}
    merged.jsonl    optional: that of the network that arms may merge with the first
    tests.jsonl     what all networks are asked; some of it of tasks that no fine-tuning set has
    prose.txt       running text: blocks are chosen by its first half, the second is for tests
    world.json      optional: see `FolderSettings`
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from search_spaces.language.depth_pruned_llm.chat import Exchange
from search_spaces.values import Value

VARIABLE = "ARCHFRONT_PRETRAINED_LLM"
"""Names the folder, in the environment of a worker."""

AnswerRule: TypeAlias = Literal["words", "number", "any"]
"""When a response is right.

words: the given response occurs in it, word for word but for case, marks and articles.
number: the last numbers of both are equal.
any: always, unless it is empty; for instructions that have no one answer. Not for tests.
"""

_HASHED_WHOLE_BYTES = 64 * 1024**2  # larger files count by name and size alone


class FolderUnusable(ValueError):
    """The folder lacks something, or holds what cannot be read; the message names it."""


class FolderSettings(Value):
    """The content of `world.json`.

    answers: by task, when a response is right; `words` where it is not named.
    max_response_tokens: a response ends there at the latest.
    dtype: of the weights, in training and in the export.
    """

    answers: dict[str, AnswerRule] = Field(default_factory=dict)
    max_response_tokens: Annotated[int, Field(ge=1, le=4_096)] = 64
    dtype: Literal["float32", "bfloat16"] = "float32"


class _Line(Value):
    """One exchange of a file."""

    task: Annotated[str, Field(min_length=1)]
    instruction: Annotated[str, Field(min_length=1)]
    response: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class ModelFolder:
    """What is in the folder but for the model itself.

    merged: empty where there is no such file.
    fingerprint: twelve hexadecimal digits; equal for equal data and, by names and sizes, models.
    """

    path: Path
    settings: FolderSettings
    tuning: tuple[Exchange, ...]
    merged: tuple[Exchange, ...]
    tests: tuple[Exchange, ...]
    prose: str
    fingerprint: str

    @property
    def model(self) -> Path:
        """Where the model and its tokenizer are."""
        return self.path / "model"

    @property
    def tuned_tasks(self) -> frozenset[str]:
        """The tasks of the fine-tuning sets."""
        return frozenset(exchange.task for exchange in (*self.tuning, *self.merged))


def missing_folder() -> str | None:
    """Why no model of one's own can be pruned here; None if one can."""
    try:
        read_folder()
    except FolderUnusable as error:
        return str(error)
    return None


def read_folder() -> ModelFolder:
    """The folder that the environment names. Raises: FolderUnusable."""
    name = os.environ.get(VARIABLE)
    if not name:
        raise FolderUnusable(f"{VARIABLE} is not set; let it name a folder with a model and data")
    path = Path(name)
    if not path.is_dir():
        raise FolderUnusable(f"there is no folder {name}, which {VARIABLE} names")
    if not (path / "model" / "config.json").is_file():
        raise FolderUnusable(f"{path / 'model'} holds no config.json; save the model there")
    folder = ModelFolder(
        path=path,
        settings=_settings(path / "world.json"),
        tuning=_exchanges(path / "tuning.jsonl"),
        merged=_exchanges(path / "merged.jsonl") if (path / "merged.jsonl").exists() else (),
        tests=_exchanges(path / "tests.jsonl"),
        prose=_text(path / "prose.txt"),
        fingerprint=_fingerprint(path),
    )
    _check_tests(folder)
    return folder


def _check_tests(folder: ModelFolder) -> None:
    tasks = {exchange.task for exchange in folder.tests}
    without = sorted(task for task in tasks if folder.settings.answers.get(task) == "any")
    if without:
        raise FolderUnusable(
            f"tests.jsonl has the task {without[0]!r}, of which any response is right; "
            "leave it out, or give it another rule in world.json"
        )
    if not tasks - folder.tuned_tasks:
        raise FolderUnusable(
            "tests.jsonl has no task beside those of the fine-tuning sets "
            f"({', '.join(sorted(folder.tuned_tasks))}), so that forgetting could not be told; "
            "add tests of another task"
        )


def _settings(path: Path) -> FolderSettings:
    if not path.exists():
        return FolderSettings()
    try:
        return FolderSettings.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise _unusable(path, error) from None


def _exchanges(path: Path) -> tuple[Exchange, ...]:
    found = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            given = _LINES.validate_python(json.loads(line))
        except ValidationError as error:
            raise _unusable(path, error, number) from None
        except json.JSONDecodeError as error:
            raise FolderUnusable(f"{path.name}, line {number} is no JSON: {error}") from None
        found.append(Exchange(given.task, given.instruction, given.response))
    if not found:
        raise FolderUnusable(f"{path} holds no exchange; add one a line")
    return tuple(found)


_LINES = TypeAdapter(_Line)


def _unusable(path: Path, error: ValidationError, line: int | None = None) -> FolderUnusable:
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    where = path.name if line is None else f"{path.name}, line {line}"
    return FolderUnusable(f"{where}: {field}: {first['msg']}, got {first['input']!r}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FolderUnusable(f"{path} is missing; {_CONTENTS[path.name]}") from None
    except UnicodeDecodeError as error:
        raise FolderUnusable(f"{path} is not UTF-8: {error}") from None


_CONTENTS: Mapping[str, str] = {
    "tuning.jsonl": "put the fine-tuning set there, an exchange a line",
    "tests.jsonl": "put what all networks are asked there, an exchange a line",
    "prose.txt": "put running text there",
}


def _fingerprint(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path)} {size}\n".encode())
        if size <= _HASHED_WHOLE_BYTES:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
