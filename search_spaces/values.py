"""The frozen pydantic base that every value of the house shares, and the strings it allows."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


class Value(BaseModel):
    """An immutable value: unknown keys, NaN and infinities are refused at construction."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# Texts are checked whenever a row becomes a value: a loop over characters would be felt there.
_SURROGATE = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    # PostgreSQL text cannot hold NUL and no UTF-8 encoder takes a lone surrogate:
    # refused here, they never become a server error there.
    if "\x00" in text:
        raise ValueError("must not contain the NUL character; remove it")
    if _SURROGATE.search(text):
        raise ValueError("must not contain lone surrogates; send valid Unicode text")
    return text


Text = Annotated[str, AfterValidator(_storable), StringConstraints(max_length=10_000)]
ShortText = Annotated[str, AfterValidator(_storable), StringConstraints(max_length=200)]
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$", min_length=1, max_length=200),
]
"""A letter, then letters, digits, `_`, `.` or `-`; it is used in addresses and file names."""

MetricName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*(@[A-Za-z][A-Za-z0-9_.\-]*)?$",
        min_length=1,
        max_length=200,
    ),
]
"""A name, and where it tells of one device, `@` and the name of that: `latency_ms@rpi5`."""
