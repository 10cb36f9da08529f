"""Expressions of annotations, written again as Python source with the sources of sizes in place of names."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shapeguard.shapes.annotation import Symbolic

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}


def write_expression(
    axis: Symbolic, sizes: Mapping[str, str], constant: Callable[[str, object], str], builtin: Callable[[str], str]
) -> str | None:
    """The source of an expression; None where Python would read it otherwise than jaxtyping.

    `sizes` has the source of each size. `constant` and `builtin` give what the source calls a value and a built-in
    function.
    """
    source = axis.expression
    stand_ins: dict[str, str] = {}
    for placeholder in axis.placeholders:
        written = "{" + placeholder + "}"
        if not _PATH.fullmatch(placeholder) or re.search(
            r"\w" + re.escape(written) + r"|" + re.escape(written) + r"\w", source
        ):
            return None
        stand_in = f"value_{len(stand_ins)}_"
        stand_ins[stand_in] = placeholder
        source = source.replace(written, stand_in)
    try:
        return _Expression(sizes, stand_ins, constant, builtin).write(ast.parse(source, mode="eval").body)
    except (SyntaxError, _UnreadableError):
        return None


class _UnreadableError(Exception):
    """Something stands in an expression that isn't written again."""


@dataclass(frozen=True)
class _Expression:
    """What the names in one expression stand for."""

    sizes: Mapping[str, str]
    stand_ins: Mapping[str, str]
    """Name -> the path to an argument's attribute that was written in braces."""
    constant: Callable[[str, object], str]
    builtin: Callable[[str], str]

    def write(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int()):
                return repr(node.value)
            case ast.Name(id=name) if name in self.stand_ins:
                # jaxtyping pastes the value's text, so that a negative one could bind otherwise than it reads.
                owner, *path = self.stand_ins[name].split(".")
                return f"{self.constant('size_at', size_at)}({owner}, {tuple(path)!r})"
            case ast.Name(id=name) if name in self.sizes:
                return self.sizes[name]
            case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Mod() as op, right=right):
                sign, by = _OPERATORS[type(op)], self.write(right)
                return f"({self.write(left)} {sign} {by} if {by} else {self.constant('nan', math.nan)})"
            case ast.BinOp(op=ast.Pow(), right=right) if not isinstance(right, ast.Constant):
                raise _UnreadableError
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return f"({self.write(left)} {_OPERATORS[type(op)]} {self.write(right)})"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self.write(operand)})"
            case ast.Call(func=ast.Name(id="min" | "max" as name), args=arguments, keywords=[]) if (
                name not in self.sizes
                and len(arguments) > 1
                and not any(isinstance(part, ast.Name) and part.id in self.stand_ins for part in ast.walk(node))
            ):
                return f"{self.builtin(name)}({', '.join(map(self.write, arguments))})"
        raise _UnreadableError


def size_at(owner: object, path: tuple[str, ...]) -> int | float:
    """An attribute of an argument where it can stand for a size; else a number that equals nothing."""
    value = owner
    for name in path:
        value = getattr(value, name, None)
    return value if type(value) is int and value >= 0 else math.nan
