"""Texts are read strictly, and every refusal says where and what to do."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.schemas.documents import (
    MAX_DEPTH,
    DocumentInvalid,
    DocumentUnreadable,
    parse_json,
    path_text,
    shortened,
)
from service.schemas.yaml_text import parse_yaml

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_storable_json_comes_back_as_it_was(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    for parse in (parse_json, parse_yaml):
        try:
            value = parse(text)
        except (DocumentInvalid, DocumentUnreadable):
            continue
        json.dumps(value, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b'{"a": [1, {"b": NaN}]}', "a[1].b"),
        (b"[1e999]", "[0]"),
        (b'{"a": 9007199254740993}', "a"),
        (b'{"a": "\\udc00"}', "a"),
        (b"-Infinity", "document"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_path(text: bytes, field: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        parse_json(text)
    assert caught.value.errors[0].field == field
    assert caught.value.errors[0].remedy


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(DocumentUnreadable, match="'a' is given twice"):
        parse_json(b'{"a": 1, "a": 2}')
    with pytest.raises(DocumentUnreadable, match=r"line 2, column 1: the key 'a' is given twice"):
        parse_yaml(b"a: 1\na: 2")


def test_the_depth_is_bounded() -> None:
    for parse in (parse_json, parse_yaml):
        parse(b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1))
        with pytest.raises((DocumentInvalid, DocumentUnreadable)):
            parse(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5E+3", 1500.0),
        (".5", 0.5),
        ("-7", -7),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("'12'", "12"),
        ("1_000", "1_000"),
    ],
)
def test_yaml_by_the_core_schema(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}".encode())["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_path_as_people_write_it() -> None:
    assert path_text(("parameters", 2, "when", "values", 0)) == "parameters[2].when.values[0]"
    assert path_text(()) == "document"


@given(st.one_of(VALUES, st.floats(), st.integers(), st.text(st.characters()), st.binary()))
def test_a_shortened_value_is_short_and_json(value: object) -> None:
    text = json.dumps(shortened(value), allow_nan=False)
    assert len(json.loads(text)) <= 1200 if isinstance(json.loads(text), str) else True
    text.encode("utf-8")
    assert shortened(math.nan) == "NaN"
