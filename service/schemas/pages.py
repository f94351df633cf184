"""One page of a longer list, with the cursor that leads to the next."""

from typing import Generic, TypeVar

from search_spaces.values import Value

Item = TypeVar("Item")


class Page(Value, Generic[Item]):
    """`next_cursor` is opaque; None on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None = None
