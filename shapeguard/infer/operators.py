"""What operators, comparisons and subscripts give."""

from __future__ import annotations

import ast
from typing import Any

from shapeguard.infer.claims import claimed
from shapeguard.infer.python import item_of
from shapeguard.infer.values import (
    NUMBER,
    WHOLE,
    Bound,
    Chain,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Maybe,
    Number,
    Symbol,
    as_size,
    certain,
    is_number,
    is_whole,
    join,
)
from shapeguard.ops.arithmetic import arithmetic
from shapeguard.ops.indexing import Rest, Slice
from shapeguard.ops.indexing import subscript as subscript_tensor
from shapeguard.ops.pointwise import binary, in_place, unary
from shapeguard.ops.promotion import FLOAT, category
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes import shape as shapes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import Mismatch

_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_EQUALITY = (ast.Eq, ast.NotEq)
_NEVER_NONE = (Tensor, Dim, Module, Instance, Chain, Function, Bound, Class, External, str, bool, float, tuple, Many)
_SOME_NUMBER = 0.5
_WHOLE = frozenset({"<<", ">>", "&", "|", "^"})
"""Operators of whole numbers."""


def operate(op: type[ast.AST], left: Any, right: Any) -> Any:  # noqa: PLR0911 - one case a kind of operand
    """A binary operator or a comparison."""
    if op in (ast.Is, ast.IsNot):
        return _is(left, right, negated=op is ast.IsNot)
    if op in (ast.In, ast.NotIn):
        return _is_in(left, right, negated=op is ast.NotIn)
    if op in _EQUALITY and (left is None or right is None):
        return _is(left, right, negated=op is ast.NotEq)
    left, right = certain(left), certain(right)
    sign = _SIGNS[op]
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return _with_tensor(sign, left, right)
    if isinstance(left, tuple | Many) and isinstance(right, tuple | Many) and op is ast.Add:
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
        both = join(left, right)
        return Many(both.any_item) if isinstance(both, Many) and both.count is not None else both
    if op is ast.Mult and isinstance(left, tuple | Many) != isinstance(right, tuple | Many):
        sequence, times = (left, right) if isinstance(left, tuple | Many) else (right, left)
        repeated = arithmetic("*", sequence, as_size(times)) if isinstance(sequence, tuple) else UNKNOWN
        return Many(item_of(sequence)) if repeated is UNKNOWN else repeated
    if op in _EQUALITY and isinstance(left, Dtype | Dictionary) and type(left) is type(right):
        return (left == right) is (op is ast.Eq) if isinstance(left, Dtype) else UNKNOWN
    if op is ast.Mod and isinstance(left, str):
        return UNKNOWN
    one, other = as_size(left), as_size(right)
    if isinstance(one, Dim) and isinstance(other, Dim) and op in _EQUALITY:
        equal = compare(one, other, at_least=1)
        return UNKNOWN if equal is None else equal is (op is ast.Eq)
    result = arithmetic(sign, one, other)
    if result is UNKNOWN and sign in "+-*/**//%" and is_number(left) and is_number(right):
        return WHOLE if sign in "+-*//%" and is_whole(left) and is_whole(right) else NUMBER
    return result


def operate_in_place(op: type[ast.operator], left: Tensor, right: Any) -> Any:
    """`left += right`, where `left` is a tensor."""
    if isinstance(right, Number | Symbol | tuple) or not isinstance(right, Tensor | Dim | bool | float):
        return Tensor(left.shape, left.dtype)
    return in_place(_SIGNS[op], left, right)


def _with_tensor(sign: str, left: Any, right: Any) -> Any:
    number = next((value for value in (left, right) if isinstance(value, Number | Symbol) and is_number(value)), None)
    if number is None:
        return binary(
            sign, *(UNKNOWN if isinstance(value, Symbol | tuple) else _plain(value) for value in (left, right))
        )
    some = Dim(2) if sign in _WHOLE or is_whole(number) else _SOME_NUMBER
    result = binary(sign, *(some if value is number else value for value in (left, right)))
    tensor = right if left is number else left
    if isinstance(result, Tensor) and sign in "+-*//**%" and category(tensor.dtype) != FLOAT and not is_whole(number):
        # The number may be whole or not.
        return Tensor(result.shape, None)
    return result


def _plain(value: Any) -> Any:
    return value if isinstance(value, Tensor | Dim | bool | float) else UNKNOWN


def _is(left: Any, right: Any, *, negated: bool) -> Any:
    if right is None or left is None:
        other = left if right is None else right
        if other is None:
            return not negated
        if isinstance(other, _NEVER_NONE):
            return negated
    if isinstance(left, bool) and isinstance(right, bool):
        return (left is right) is not negated
    return UNKNOWN


def _is_in(left: Any, right: Any, *, negated: bool) -> Any:
    if isinstance(right, Dictionary) and isinstance(left, str):
        if any(key == left for key, _ in right.items):
            return not negated
        return UNKNOWN if right.is_open else negated
    if isinstance(left, str | Dim | None) and isinstance(right, tuple):
        equal = [operate(ast.Eq, left, item) for item in right]
        if any(each is True for each in equal):
            return not negated
        return negated if all(each is False for each in equal) else UNKNOWN
    return UNKNOWN


def truth(value: Any) -> bool | None:
    """Whether a value counts as true; None where that isn't known."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, Instance | Module | Function | Bound | Class | Chain):
        return True
    if isinstance(value, str | float | tuple):
        return bool(value)
    if isinstance(value, Dim):
        number = as_int(value)
        return None if number is None else bool(number)
    return None


def operate_one(op: type[ast.unaryop], operand: Any) -> Any:
    """A unary operator."""
    if op is ast.Not:
        known = truth(operand)
        return UNKNOWN if known is None else not known
    operand = certain(operand)
    sign = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[op]
    if isinstance(operand, Tensor):
        return unary(sign, operand)
    if isinstance(operand, Number):
        return operand
    operand = as_size(operand)
    return operand if sign == "+" and isinstance(operand, Dim | float) else unary(sign, operand)


def transposed(value: Tensor) -> Any:
    """`x.T` and `x.mT`."""
    rank = value.shape.rank
    if rank is None or rank < 2:  # noqa: PLR2004 - a matrix
        return Tensor(value.shape, value.dtype)
    outcome = shapes.transpose(value.shape, rank - 2, rank - 1)
    return outcome if isinstance(outcome, Mismatch) else Tensor(outcome, value.dtype)


def subscript(owner: Any, index: Any) -> Any:  # noqa: C901, PLR0911 - one case a kind of owner
    """`owner[index]`."""
    owner = certain(owner)
    if isinstance(owner, Tensor):
        parts = index if isinstance(index, tuple) else (index,)
        return subscript_tensor(owner, _places(parts))
    if isinstance(owner, Many):
        if isinstance(index, Slice):
            return Many(owner.any_item)
        return UNKNOWN if not _is_position(index) else _item_at(owner, index)
    if isinstance(owner, Dictionary):
        found = owner.get(index)
        return item_of(tuple(value for _, value in owner.items)) if found is UNKNOWN and not owner.is_open else found
    if isinstance(owner, Instance) and owner.cls.makes_records:
        return _field(owner, index)
    if isinstance(owner, Symbol) and isinstance(index, str) and index.isidentifier():
        return Symbol(f"{owner.name}.{index}", owner.is_number)
    if isinstance(owner, Symbol) and owner.is_number and is_number(index):
        return NUMBER
    if isinstance(owner, External) and owner.name.startswith("jaxtyping."):
        return claimed(owner.name, index)
    if isinstance(owner, External):
        return External(f"{owner.name}[]")
    items = owner.modules if isinstance(owner, Chain) else owner
    if not isinstance(items, tuple):
        return UNKNOWN
    if isinstance(index, Slice):
        parts = (index.start, index.stop, index.step)
        start, stop, step = (as_int(part) if isinstance(part, Dim) else None for part in parts)
        if (start, stop, step).count(None) > parts.count(None):
            return Many(item_of(items)) if items and isinstance(owner, tuple) else UNKNOWN
        chosen = items[start:stop:step]
        return Chain(chosen) if isinstance(owner, Chain) else chosen
    number = as_int(index) if isinstance(index, Dim) else None
    if number is None:
        return item_of(items) if items else UNKNOWN
    return items[number] if -len(items) <= number < len(items) else UNKNOWN


def _item_at(owner: Many, index: Any) -> Any:
    """An item by its place, which is known where it is counted from an end that is."""
    number = as_int(index) if isinstance(index, Dim) else None
    if number is not None and 0 <= number < len(owner.first):
        return owner.first[number]
    if number is not None and -len(owner.last) <= number < 0:
        return owner.last[number]
    if number is not None:
        # It is none of those that are counted from the same end.
        first, last = ((), owner.last) if number >= 0 else (owner.first, ())
        return item_of(Many(owner.item, first, last))
    return item_of(owner)


def _is_position(index: Any) -> bool:
    return is_number(index) or index is UNKNOWN or isinstance(index, Symbol)


def _as_index(part: Any) -> Any:
    if isinstance(part, Symbol):
        return as_size(part) if part.is_number else UNKNOWN
    if isinstance(part, Maybe):
        return _as_index(part.value)
    if isinstance(part, Slice):
        return Slice(*(_bound(each) for each in (part.start, part.stop, part.step)))
    if isinstance(part, tuple):
        return tuple(map(_as_index, part))
    return UNKNOWN if isinstance(part, Number | Many | Instance | Dictionary | External) else part


_SOME_PLACE = Tensor(shapes.Shape(()), "int64")
"""A position of which nothing is known."""


def _places(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of an index, in which a whole number of Python's may stand for a position.

    Beside tensors it isn't the same as one without axes.
    """
    if all(part is None or isinstance(part, Slice | Dim | Number | Rest) for part in parts):
        return tuple(_SOME_PLACE if part == WHOLE else _as_index(part) for part in parts)
    return tuple(_as_index(part) for part in parts)


def _bound(part: Any) -> Any:
    if part is None or isinstance(part, Dim):
        return part
    if isinstance(part, Maybe):
        return UNKNOWN
    size = as_size(part)
    return size if isinstance(size, Dim) else UNKNOWN


def _field(record: Instance, index: Any) -> Any:
    """An entry of a record by its place, among those that hold something, or by its name."""
    if isinstance(index, str):
        return record.attributes.get(index, UNKNOWN)
    number = as_int(index) if isinstance(index, Dim) else None
    present = [value for name in record.cls.fields if (value := record.attributes.get(name)) is not None]
    if number is None or any(isinstance(value, Maybe) or value is UNKNOWN for value in present[: number + 1]):
        # What may be missing moves the others up; the first field hardly ever is.
        return certain(present[0]) if number == 0 and present else UNKNOWN
    return present[number] if -len(present) <= number < len(present) else UNKNOWN
