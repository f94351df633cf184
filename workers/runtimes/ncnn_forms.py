"""Traces a network in what ncnn has: no integers but ids, no booleans, no comparisons, no rank 5.

A boolean is a float of 0 or 1 there. An input of integers is given twice: as ids, for lookups, and
as floats, for all else. What a network does with either is put otherwise while it is traced, by
the names of torch's functions; what this page does not know stays as it is, for the converter to
refuse or the comparison of answers to find.
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from workers.runtimes.quiet import quiet

Form: TypeAlias = Literal["numbers", "ids"]
"""numbers: float32 of the input's shape. ids: int32, 1 x all of them, as ncnn looks them up."""

MOST_DIMENSIONS = 4

_MASKED = -3e4  # for -inf, whose product with 0 is no number; within the range of float16

_COMPARISONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ne": torch.abs,
    "eq": lambda sign: 1 - sign.abs(),
    "gt": lambda sign: sign.clamp(min=0.0),
    "lt": lambda sign: (-sign).clamp(min=0.0),
    "ge": lambda sign: 1 - (-sign).clamp(min=0.0),
    "le": lambda sign: 1 - sign.clamp(min=0.0),
}
"""From the sign of the difference to 0 or 1."""

_LOGIC: dict[str, Callable[..., Tensor]] = {
    "not": lambda x: 1 - x,
    "and": torch.mul,
    "or": torch.maximum,
    "xor": lambda x, y: (x - y).abs(),
}

_VIEWS = {
    "getitem", "view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "expand",
    "expand_as", "transpose", "permute", "movedim", "select", "narrow", "contiguous", "clone",
    "detach",
}  # fmt: skip
"""What only moves elements: floats stand for the same integers or booleans after it."""

_RESHAPES = {"view", "reshape", "unflatten"}


def forms_of(example: Tensor) -> tuple[Form, ...]:
    """As what an input like `example` is given to ncnn.

    Raises: ValueError if it is of a type that ncnn cannot take.
    """
    if example.dtype in {torch.float32, torch.bool}:
        return ("numbers",)
    if example.dtype in {torch.int64, torch.int32}:
        return ("ids", "numbers")
    raise ValueError(f"ncnn takes no input of {example.dtype}")


def in_form(tensor: Tensor, form: Form) -> Tensor:
    """`tensor` in that form."""
    if form == "ids":
        return tensor.to(torch.int32).reshape(1, -1)
    return tensor.to(torch.float32)


def trace(network: nn.Module, example: tuple[Tensor, ...]) -> torch.jit.ScriptModule:
    """The traced network; its inputs are those of `example` in their forms, one after the other.

    Its outputs are the network's tensors, flattened; booleans are floats, integers may be.
    """
    formed = tuple(in_form(one, form) for one in example for form in forms_of(one))
    with quiet():  # torch.jit is deprecated, and what pnnx reads
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            _Formed(network, example), formed, check_trace=False
        )
    return traced


class _Formed(nn.Module):
    def __init__(self, network: nn.Module, example: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.network = _with_lookups(network)
        self._example = example
        self._shapes = [tuple(map(int, one.shape)) for one in example]  # no part of the trace

    def forward(self, *formed: Tensor) -> tuple[Tensor, ...]:
        mode, left, inputs = _InForms(), iter(formed), []
        for one, shape in zip(self._example, self._shapes, strict=True):
            given = dict(zip(forms_of(one), left, strict=False))
            if "ids" in given:
                inputs.append(mode.integers(given["ids"].reshape(shape), **given))
            elif one.dtype == torch.bool:
                inputs.append(mode.truth(given["numbers"]))
            else:
                inputs.append(given["numbers"])
        with mode:
            answers = self.network(*inputs)
        return tuple(leaf for leaf in tree_leaves(answers) if isinstance(leaf, Tensor))


class _Lookup(nn.Module):
    """Takes the place of an embedding, which the converter would take whole."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach())

    def forward(self, ids: Tensor) -> Tensor:
        return functional.embedding(ids, self.get_buffer("weight"))


def _with_lookups(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Embedding and layer.max_norm is None:
                setattr(parent, name, _Lookup(layer.weight))
    return network.eval()


@dataclass(frozen=True)
class _Integers:
    """tensor: as the network sees it; numbers: the same as floats; ids: as ncnn looks it up."""

    tensor: Tensor
    numbers: Tensor
    ids: Tensor | None


@dataclass(frozen=True)
class _Deep:
    """A tensor of rank 5: `base`, reshaped to `shape`, its dimensions then put into `order`."""

    tensor: Tensor
    base: Tensor
    shape: tuple[int, ...]
    order: tuple[int, ...]

    def reordered(self, tensor: Tensor, dimensions: Iterable[int]) -> "_Deep":
        order = tuple(self.order[dimension] for dimension in dimensions)
        return _Deep(tensor, self.base, self.shape, order)

    def select(self, dimension: int, index: int) -> Tensor:
        """As `Tensor.select`, by way of rank 4; the first dimension, the batch, stays as it is."""
        place = self.order[dimension]
        before, after = self.shape[1:place], self.shape[place + 1 :]
        flat = (self.shape[0], math.prod(before), self.shape[place], math.prod(after))
        chosen = self.base.reshape(flat).select(2, index)
        chosen = chosen.reshape(self.shape[0], *before, *after)
        left = [other for other in self.order if other != place]
        return chosen.permute([other - (other > place) for other in left])


class _InForms(TorchFunctionMode):
    """While it holds, torch's functions on integers and booleans are put in ncnn's."""

    def __init__(self) -> None:
        super().__init__()
        # By identity; the tensors are kept, so that no other one comes to bear theirs.
        self._integers: dict[int, _Integers] = {}
        self._truths: dict[int, Tensor] = {}
        self._deep: dict[int, _Deep] = {}

    def integers(self, tensor: Tensor, numbers: Tensor, ids: Tensor | None = None) -> Tensor:
        """Notes that `tensor` has these other forms."""
        self._integers[id(tensor)] = _Integers(tensor, numbers, ids)
        return tensor

    def truth(self, tensor: Tensor) -> Tensor:
        """Notes that `tensor` stands for booleans."""
        self._truths[id(tensor)] = tensor
        return tensor

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
    ) -> Any:
        name = getattr(function, "__name__", "").strip("_")
        named = named or {}
        put = getattr(self, f"_put_{name}", None)
        if name in _COMPARISONS and len(arguments) == 2:
            return self._compared(name, *arguments)
        if arguments and self._is_truth(arguments[0]):
            logic = _LOGIC.get(name.removeprefix("bitwise_").removeprefix("logical_"))
            if name == "invert":
                logic = _LOGIC["not"]
            if logic is not None:
                return self.truth(logic(*(self._numbers(one) for one in arguments)))
            if name in {"to", "type", "float", "type_as"}:
                return arguments[0].detach()  # from here on a float like any other
        if put is not None:
            return put(function, *arguments, **named)
        answer = function(*arguments, **named)
        if name in _VIEWS and arguments and isinstance(answer, Tensor):
            self._carry_over(function, name, answer, arguments, named)
        return answer

    def _is_truth(self, tensor: Any) -> bool:
        return id(tensor) in self._truths

    def _numbers(self, given: Any) -> Any:
        if id(given) in self._integers:
            return self._integers[id(given)].numbers
        return given if not isinstance(given, Tensor) else given.to(torch.float32)

    def _compared(self, name: str, left: Any, right: Any) -> Tensor:
        difference = self._numbers(left)
        if isinstance(right, Tensor) or right != 0:
            difference = difference - self._numbers(right)
        return self.truth(_COMPARISONS[name](torch.sign(difference)))

    def _carry_over(
        self,
        function: Callable[..., Any],
        name: str,
        answer: Tensor,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> None:
        viewed = arguments[0]
        if self._is_truth(viewed):
            self.truth(answer)
        elif id(viewed) in self._integers:
            numbers = function(self._integers[id(viewed)].numbers, *arguments[1:], **named)
            self.integers(answer, numbers)
        if name in _RESHAPES and answer.ndim == MOST_DIMENSIONS + 1:
            shape = tuple(int(size) for size in answer.shape)
            self._deep[id(answer)] = _Deep(answer, viewed, shape, tuple(range(answer.ndim)))
        elif id(viewed) in self._deep and name in {"permute", "transpose"}:
            moved = function(torch.empty(tuple(range(1, viewed.ndim + 1))), *arguments[1:], **named)
            self._deep[id(answer)] = self._deep[id(viewed)].reordered(
                answer, (int(size) - 1 for size in moved.shape)
            )

    def _selected(self, tensor: Tensor, dimension: int, index: int) -> Tensor:
        deep = self._deep.get(id(tensor))
        dimension %= tensor.ndim
        if deep is None or deep.order[dimension] == 0:
            return tensor.select(dimension, index)
        return deep.select(dimension, index % int(tensor.shape[dimension]))

    def _put_unbind(self, _: Any, tensor: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
        return tuple(self._selected(tensor, dim, index) for index in range(int(tensor.shape[dim])))

    def _put_select(self, function: Any, tensor: Tensor, dim: int, index: int) -> Tensor:
        if id(tensor) in self._deep:
            return self._selected(tensor, dim, index)
        answer: Tensor = function(tensor, dim, index)
        self._carry_over(function, "select", answer, (tensor, dim, index), {})
        return answer

    def _put_getitem(self, function: Any, tensor: Tensor, index: Any) -> Tensor:
        indices = index if isinstance(index, tuple) else (index,)
        chosen = [place for place, one in enumerate(indices) if one != slice(None)]
        if id(tensor) in self._deep and len(chosen) == 1 and isinstance(indices[chosen[0]], int):
            return self._selected(tensor, chosen[0], indices[chosen[0]])
        answer: Tensor = function(tensor, index)
        self._carry_over(function, "getitem", answer, (tensor, index), {})
        return answer

    def _put_embedding(
        self, function: Any, ids: Tensor, weight: Tensor, *given: Any, **named: Any
    ) -> Any:
        known = self._integers.get(id(ids))
        if known is None or known.ids is None:
            return function(ids, weight, *given, **named)
        rows: Tensor = functional.embedding(known.ids, weight)
        return rows.reshape(*map(int, ids.shape), int(weight.shape[1]))

    def _put_masked_fill(self, function: Any, tensor: Tensor, mask: Tensor, value: Any) -> Any:
        if not self._is_truth(mask):
            return function(tensor, mask, value)
        kept = tensor * (1 - mask)
        filling = max(_MASKED, float(value))
        return kept + mask * filling if filling else kept

    def _put_where(self, function: Any, condition: Tensor, *given: Any) -> Any:
        if not self._is_truth(condition) or len(given) != 2:
            return function(condition, *given)
        return given[0] * condition + given[1] * (1 - condition)

    def _put_scaled_dot_product_attention(
        self,
        function: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *given: Any,
        **named: Any,
    ) -> Any:
        if attn_mask is not None:
            if self._is_truth(attn_mask):
                attn_mask = (1 - attn_mask) * _MASKED
            # ncnn reads a row of the mask for each query, however many there are
            attn_mask = attn_mask + torch.zeros(int(query.shape[-2]), int(key.shape[-2]))
        return function(query, key, value, attn_mask, *given, **named)
