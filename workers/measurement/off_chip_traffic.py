"""Counts the bytes that one inference moves if nothing stays on chip between its operators.

A model and no measurement: the memory traffic that the roofline model [Williams2009] divides a
network's operations by, taken operator by operator. A cache that keeps an activation and a runtime
that fuses operators move less; an operator whose working set exceeds the caches moves more.

[Williams2009] S. Williams, A. Waterman, D. Patterson: Roofline: an insightful visual performance
    model for multicore architectures. Communications of the ACM 52(4), 2009.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from service.domain.runtimes import Precision


@dataclass(frozen=True)
class Widths:
    """Bytes of one number, of weights and of activations."""

    weight: int
    activation: int


WIDTHS: Mapping[Precision, Widths] = {
    "fp32": Widths(4, 4),
    "bf16": Widths(2, 2),
    "fp16": Widths(2, 2),
    "int8_dynamic": Widths(1, 4),
    "int8_static": Widths(1, 1),
}

_MOVING_NOTHING = frozenset(
    {
        "aten::_unsafe_view",  # a view, though not marked as one
        "aten::empty",
        "aten::empty_like",
        "aten::empty_strided",
        "aten::new_empty",
        "aten::new_empty_strided",
    }
)
_LOOKUPS = frozenset({"aten::embedding", "aten::index_select", "aten::gather", "aten::index"})
"""They read of their first input as much as they give, not the whole table."""

_OVERWRITING = frozenset({"aten::copy_", "aten::fill_", "aten::zero_"})
"""They do not read what they write over."""

_GIVING_ONE = frozenset(
    {
        "aten::native_layer_norm",
        "aten::native_group_norm",
        "aten::native_batch_norm",
        "aten::_native_batch_norm_legit_no_training",
        "aten::max_pool2d_with_indices",
        "aten::max_pool3d_with_indices",
    }
)
"""What they give beside their first output is there for training alone."""


class OffChipTraffic(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own hook
    """Counts what runs while it is entered; `moved_bytes` is the sum so far.

    Every operator of torch (a recurrent layer: those of each of its steps) reads each of its
    inputs once and writes its outputs once; views move nothing. A number of the network's weights
    or buffers, and of everything else, is as wide as `widths` says; integers and truth values are
    as wide as torch keeps them.
    """

    def __init__(self, network: nn.Module, widths: Widths) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moved_bytes = 0
        self._widths = widths
        kept = (*network.parameters(), *network.buffers())
        self._weights = {_storage(tensor) for tensor in kept if tensor.numel()}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs the operator, and counts it."""
        kwargs = kwargs or {}
        name = _name_if_moving(func)
        if name is None:
            return func(*args, **kwargs)
        # Counted before it runs: one that works in place may give its input another shape.
        moved = self._read_bytes(func, name, args, kwargs)
        given = func(*args, **kwargs)
        outputs = list(_tensors(given))[: 1 if name in _GIVING_ONE else None]
        if name in _LOOKUPS:
            moved += outputs[0].numel() * self._width(args[0])
        self.moved_bytes += moved + sum(map(self._bytes, outputs))
        return given

    def _read_bytes(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        taken = func._schema.arguments  # noqa: SLF001  (it is public nowhere)
        by_name = {argument.name: argument for argument in taken}
        given = [*zip(taken, args, strict=False)]
        given += [(by_name[word], value) for word, value in kwargs.items()]
        found = {}
        for argument, value in given[1:] if name in _LOOKUPS else given:
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written and (argument.kwarg_only or name in _OVERWRITING):
                continue
            for tensor in _tensors(value):
                place = (_storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride())
                found[place] = self._bytes(tensor)
        return sum(found.values())

    def _bytes(self, tensor: torch.Tensor) -> int:
        # What is expanded along a dimension (stride 0) is there once.
        sizes = zip(tensor.shape, tensor.stride(), strict=True)
        return prod(size for size, stride in sizes if stride or not size) * self._width(tensor)

    def _width(self, tensor: torch.Tensor) -> int:
        if not tensor.is_floating_point():
            return tensor.element_size()
        is_weight = _storage(tensor) in self._weights
        return self._widths.weight if is_weight else self._widths.activation


def _name_if_moving(func: Any) -> str | None:
    """The operator's name; None for a view, and for what only makes room."""
    if not isinstance(func, torch._ops.OpOverload) or func.is_view:  # noqa: SLF001
        return None
    name: str = func._schema.name  # noqa: SLF001
    return None if name in _MOVING_NOTHING else name


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor))


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
