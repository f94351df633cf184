"""Turns pydantic's complaints into field problems: path, value, what is wrong, remedy."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.schemas.documents import DocumentInvalid, path_text, printable, shortened
from service.schemas.problems import FieldProblem

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], document: Any) -> Model:
    """The document as a `model`.

    Raises: DocumentInvalid, naming every offending field.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise DocumentInvalid(
            field_problems(error.errors(include_url=False), model, document)
        ) from None


def field_problems(
    errors: Sequence[ErrorDetails], annotation: Any, document: Any
) -> tuple[FieldProblem, ...]:
    """The errors of validating `document` as `annotation`, one problem per offending field."""
    found: dict[str, list[tuple[ErrorDetails, Any]]] = {}
    for error in errors:
        path, parent = _path_in_document(error, annotation, document)
        found.setdefault(path_text(path), []).append((error, parent))
    return tuple(_problem(field, alternatives) for field, alternatives in found.items())


def _problem(field: str, alternatives: list[tuple[ErrorDetails, Any]]) -> FieldProblem:
    error, parent = alternatives[0]
    if len(alternatives) > 1 and all(one["type"].endswith("_type") for one, _ in alternatives):
        # A value that fits no member of a union: say it once.
        kinds = [_KINDS.get(one["type"], one["type"]) for one, _ in alternatives]
        message, remedy = f"must be {' or '.join(dict.fromkeys(kinds))}", None
        return FieldProblem(
            field=field, message=message, value=shortened(error["input"]), remedy=remedy
        )
    message, remedy = _wording(error, field, parent)
    kind = error["type"]
    if kind == "union_tag_invalid":
        field = f"{field}.{_discriminator(error)}"
    value = None if kind == "missing" else shortened(_given(error))
    return FieldProblem(field=field, message=printable(message), value=value, remedy=remedy)


def _given(error: ErrorDetails) -> Any:
    if error["type"] == "union_tag_invalid":
        return error.get("ctx", {}).get("tag")
    return error["input"]


_KINDS = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}


def _wording(error: ErrorDetails, field: str, parent: Any) -> tuple[str, str | None]:
    """What is wrong and the remedy, in the words of the house."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        name = field.rpartition(".")[2]
        return "is not a known field", did_you_mean(name, _field_names(parent))
    if kind == "literal_error":
        choices = context["expected"].replace(" or ", ",")
        return f"must be one of {context['expected']}", _nearest(error["input"], choices)
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}", None
    if kind in _WORDINGS:
        return _WORDINGS[kind](context)
    return _as_predicate(error["msg"]), None


def _nearest(given: Any, quoted_choices: str) -> str | None:
    return did_you_mean(str(given), [choice.strip("' ") for choice in quoted_choices.split(",")])


def _value_error(context: Mapping[str, Any]) -> tuple[str, str | None]:
    """Our own validators write `what is wrong; the remedy`."""
    message, _, remedy = str(context["error"]).partition("; ")
    return _as_predicate(message), _as_sentence(remedy) or None


def _discriminator(error: ErrorDetails) -> str:
    return str(error.get("ctx", {}).get("discriminator", "type")).strip("'")


def _bound(words: str, key: str) -> Callable[[Mapping[str, Any]], tuple[str, str]]:
    def wording(context: Mapping[str, Any]) -> tuple[str, str]:
        return f"must be {words} {context[key]}", "Correct the value."

    return wording


def _length(key: str, words: str, remedy: str) -> Callable[[Mapping[str, Any]], tuple[str, str]]:
    def wording(context: Mapping[str, Any]) -> tuple[str, str]:
        return f"must have {words} {context[key]}", remedy

    return wording


_WORDINGS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str | None]]] = {
    "value_error": _value_error,
    "missing": lambda _: ("is missing", "Add it."),
    "union_tag_invalid": lambda context: (
        "is not a known type",
        _nearest(context["tag"], context["expected_tags"]),
    ),
    "union_tag_not_found": lambda context: (f"lacks {context['discriminator']}", "Add it."),
    "finite_number": lambda _: (
        "must be a finite number",
        "Leave it out; report a diverged arm as infeasible.",
    ),
    "string_pattern_mismatch": lambda context: (
        "is not a legal name"
        if context["pattern"].startswith("^[A-Za-z][")
        else f"must match {context['pattern']}",
        "Start with a letter; then letters, digits, '_', '.' or '-'."
        if context["pattern"].startswith("^[A-Za-z][")
        else None,
    ),
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("above", "gt"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("below", "lt"),
    "too_short": _length("min_length", "a length of at least", "Add to it."),
    "too_long": _length("max_length", "a length of at most", "Shorten it."),
    "string_too_short": _length("min_length", "a length of at least", "Add to it."),
    "string_too_long": _length("max_length", "a length of at most", "Shorten it."),
    "int_parsing": lambda _: ("must be a whole number", None),
    "int_from_float": lambda _: ("must be a whole number", "Round it."),
    "float_parsing": lambda _: ("must be a number", None),
    "bool_parsing": lambda _: ("must be true or false", None),
    "string_unicode": lambda _: ("must be valid Unicode text", None),
}


def did_you_mean(given: str, known: Sequence[str]) -> str | None:
    """`Did you mean 'objectives'?` where a known name is near, else the list of them."""
    near = difflib.get_close_matches(given, known, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known are {', '.join(known)}." if known else None


def _as_predicate(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return message.rstrip(".") or "is not valid"


def _as_sentence(text: str) -> str:
    return text and text[0].upper() + text[1:].rstrip(".") + "."


def _field_names(annotation: Any) -> list[str]:
    return list(annotation.model_fields) if _is_model(annotation) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _path_in_document(
    error: ErrorDetails, annotation: Any, document: Any
) -> tuple[tuple[str | int, ...], Any]:
    """The error's place in the document, without pydantic's names of union members.

    Also gives the model that the last part of the path is (or should be) a field of.
    """
    path: list[str | int] = []
    here, value = annotation, document
    parent: Any = None
    location = error["loc"]
    for index, part in enumerate(location):
        members = _models(here)
        if len(members) > 1:
            chosen = _member(members, value)
            if part in _tags(chosen):
                here = chosen
                continue
        if _holds(value, part):
            child = value[part]
        elif error["type"] == "missing" and index == len(location) - 1:
            child = None
        else:
            continue  # the name of a union's member or of a validator
        parent = _member(_models(here), value)
        here = _inner(here, value, part)
        value = child
        path.append(part)
    return tuple(path), parent


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)


def _models(annotation: Any) -> list[Any]:
    """The models that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models(get_args(annotation)[0])
    if origin is Union or type(annotation).__name__ == "UnionType":
        return [model for member in get_args(annotation) for model in _models(member)]
    return [annotation] if _is_model(annotation) else []


def _tags(model: Any) -> tuple[Any, ...]:
    """What a model's discriminator may be; none where it has no discriminator."""
    fields = model.model_fields if _is_model(model) else {}
    annotations = [fields[name].annotation for name in _DISCRIMINATORS if name in fields]
    return next((get_args(one) for one in annotations if get_origin(one) is Literal), ())


def _member(models: list[Any], value: Any) -> Any:
    """Of several models the one whose discriminator the value gives, else the first."""
    given = value if isinstance(value, dict) else {}
    named = [given[name] for name in _DISCRIMINATORS if name in given]
    return next(
        (model for model in models if set(_tags(model)) & {*filter(_is_text, named)}),
        models[0] if models else None,
    )


_DISCRIMINATORS = ("type", "kind")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _inner(annotation: Any, value: Any, part: str | int) -> Any:
    """The annotation of a field, item or entry of `annotation`."""
    models = _models(annotation)
    if models:
        model = _member(models, value)
        field = model.model_fields.get(part) if isinstance(part, str) else None
        return field.annotation if field is not None else None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inner(arguments[0], value, part)
    if origin is Union or type(annotation).__name__ == "UnionType":
        return next((found for a in arguments if (found := _inner(a, value, part))), None)
    if origin is dict:
        return arguments[1]
    return arguments[0] if arguments else None
