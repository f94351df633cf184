"""YAML by the rules of the 1.2 core schema, as users of JSON expect it."""

import re
from typing import Any

import yaml

from service.schemas.documents import (
    MAX_DEPTH,
    MAX_NODES,
    DocumentUnreadable,
    decoded,
    refuse_unstorable,
)


class _CoreSchemaLoader(yaml.CSafeLoader):
    """Only null, true/false, numbers and text: no dates, no `yes`, no base-60 numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; a repeated or non-text key is refused with its line."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                raise _unreadable(key_node.start_mark, "a key must be text")
            if key in seen:
                raise _unreadable(key_node.start_mark, f"the key {key!r} is given twice")
            seen.add(key)
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


_CORE_SCHEMA = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?i:inf)|\.(?i:nan)",
        "-+0123456789.",
    ),
)
for _tag, _pattern, _first in _CORE_SCHEMA:
    _CoreSchemaLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )


def _construct_int(loader: _CoreSchemaLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    try:
        if text[:2] in ("0o", "0x"):
            return int(text, 0)
        return int(text, 10)
    except ValueError:
        raise _unreadable(node.start_mark, "the number has thousands of digits") from None


def _construct_float(loader: _CoreSchemaLoader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_CoreSchemaLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_CoreSchemaLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def parse_yaml(text: bytes) -> Any:
    """The value of one YAML document (UTF-8).

    Raises: DocumentUnreadable, with line and column; DocumentInvalid, as `parse_json`.
    """
    document = _load(decoded(text))
    refuse_unstorable(document)
    return document


def _load(text: str) -> Any:
    try:
        _refuse_excess(text)
        return yaml.load(text, Loader=_CoreSchemaLoader)  # noqa: S506  (derived from CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _unreadable(mark, error.problem or error.context or "unknown construct") from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise DocumentUnreadable(
            f"The YAML cannot be read: {str(error).splitlines()[0]}.", remedy="Correct it there."
        ) from None
    except (RecursionError, ValueError, TypeError) as error:
        raise DocumentUnreadable(
            f"The YAML cannot be read: {type(error).__name__}.", remedy="Write it more plainly."
        ) from None


def _refuse_excess(text: str) -> None:
    """Counts depth and nodes on the event stream, before anything recursive sees the text."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _unreadable(event.start_mark, f"it nests deeper than {MAX_DEPTH} levels")
        if nodes > MAX_NODES:
            raise _unreadable(event.start_mark, f"it has more than {MAX_NODES} values")


def _unreadable(mark: Any, problem: str) -> DocumentUnreadable:
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return DocumentUnreadable(
        f"The YAML cannot be read{where}: {problem}.", remedy="Correct it there."
    )
