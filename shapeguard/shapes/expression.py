"""Arithmetic in text, read as a Dim."""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable

from shapeguard.shapes.dim import Dim, as_int, extremum

_LARGEST = 2**63 - 1
_MOST_TERMS = 1000
_MOST_TIMES = 63
_OPERATORS: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
}


@functools.lru_cache(maxsize=4096)
def parse_dim(text: str) -> Dim:
    """The Dim that an arithmetic expression means; ValueError, with a sentence, for whatever is not one."""
    text = text.strip()
    if text.isidentifier():
        # A name may be a keyword, as in "out in".
        return Dim(text)
    try:
        return _from_node(ast.parse(text, mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError):
        message = f'"{text}" is not an arithmetic expression'
        raise ValueError(message) from None
    except (ValueError, ArithmeticError) as error:
        message = f'"{text}" is not a size: {error}'
        raise ValueError(message) from None


def _from_node(node: ast.expr) -> Dim:
    match node:
        case ast.Constant(value=int(value)) if type(value) is int:
            result = Dim(value)
        case ast.Name() | ast.Attribute():
            result = Dim(ast.unparse(node))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            result = -_from_node(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            result = _power(_from_node(left), _from_node(right))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            result = _OPERATORS[type(operator)](_from_node(left), _from_node(right))
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=[_, _, *_] as arguments, keywords=[]):
            result = extremum(name, tuple(map(_from_node, arguments)))
        case _:
            message = f"`{ast.unparse(node)}` is none of +, -, *, //, %, **, min(a,b), max(a,b), a name or an integer"
            raise ValueError(message)
    if len(result.terms) > _MOST_TERMS or any(abs(factor) > _LARGEST for factor in result.terms.values()):
        message = f"`{ast.unparse(node)}` is too large"
        raise ValueError(message)
    return result


def _power(base: Dim, exponent: Dim) -> Dim:
    times = as_int(exponent)
    if times is None or times < 0:
        message = f"`{exponent}` is no exponent; an integer from 0 on is"
        raise ValueError(message)
    if as_int(base) not in (-1, 0, 1) and (
        times > _MOST_TIMES or math.comb(len(base.terms) + times - 1, times) > _MOST_TERMS
    ):
        message = f"`({base})**{times}` is too large"
        raise ValueError(message)
    return base**times
