"""What the source says of shapes itself, read as values: annotations, and the parameters that they stand on."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from shapeguard.infer.values import Class, External, Instance, Symbol
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.annotation import Annotation, AnnotationSyntaxError, AnySize, Fixed, Named, Symbolic, parse
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.shape import Axis, Shape

Resolve = Callable[[ast.expr], Any]

_DTYPES = {
    "Bool": "bool",
    **{f"Float{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"Int{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    "BFloat16": "bfloat16",
    "UInt8": "uint8",
}


def annotated(annotation: ast.expr | None, resolve: Resolve) -> tuple[Any, Annotation | None]:
    """The value that an annotation claims, and its shape string; UNKNOWN where it claims nothing of use."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return annotated(ast.parse(annotation.value, mode="eval").body, resolve)
        except SyntaxError:
            return UNKNOWN, None
    match annotation:
        case ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, ast.Constant(value=str(text))])):
            found = resolve(kind)
            if isinstance(found, External) and found.name.startswith("jaxtyping."):
                return _claimed_tensor(text, found.name.removeprefix("jaxtyping."))
        case ast.Name() | ast.Attribute():
            found = resolve(annotation)
            if isinstance(found, External) and found.name in ("torch.Tensor", "torch.FloatTensor", "torch.LongTensor"):
                return Tensor(Shape.unknown()), None
            if found == External("int"):
                return External("int"), None
            return found, None
    return UNKNOWN, None


def _claimed_tensor(text: str, dtype: str) -> tuple[Any, Annotation | None]:
    try:
        annotation = parse(text)
    except AnnotationSyntaxError:
        return UNKNOWN, None
    return Tensor(claimed_shape(annotation), _DTYPES.get(dtype)), annotation


def claimed_shape(annotation: Annotation) -> Shape:
    """The shape that a shape string claims; unknown where several axes stand in one word."""
    if annotation.variadic is not None:
        return Shape.unknown()
    return Shape(tuple(_claimed_axis(axis) for axis in annotation.axes))


def _claimed_axis(axis: Any) -> Axis:
    match axis:
        case Fixed(broadcast=False, size=size):
            return Axis.of(Dim(size))
        case Named(broadcast=False, per_leaf=False, name=name):
            return Axis.of(Dim(name))
        case Symbolic(broadcast=False):
            try:
                text = axis.expression.replace("{", "").replace("}", "")
                return Axis.of(Dim(text) if _is_path(text) else parse_dim(text))
            except ValueError:
                return Axis(None, None)
        case AnySize():
            return Axis(None, None)
    return Axis(None, None)


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def with_defaults(parameters: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    """Each parameter that takes one argument, in order, with its default if it has one."""
    positional = [*parameters.posonlyargs, *parameters.args]
    without = len(positional) - len(parameters.defaults)
    defaults = [*[None] * without, *parameters.defaults, *parameters.kw_defaults]
    return list(zip([*positional, *parameters.kwonlyargs], defaults, strict=True))


def parameter_value(argument: ast.arg, default: ast.expr | None, resolve: Resolve) -> Any:
    """What a parameter is before anything is passed: what its annotation claims, else a symbol of its name."""
    value, _ = annotated(argument.annotation, resolve)
    if isinstance(value, Tensor):
        return value
    if value == External("int") or (isinstance(default, ast.Constant) and type(default.value) is int):
        return Dim(argument.arg)
    if isinstance(value, Class):
        # What a configuration holds is the user's choice, whatever its defaults are.
        return Instance(value) if value.find("forward") is not None else Symbol(argument.arg)
    if isinstance(value, External):
        return Symbol(argument.arg) if argument.annotation is not None else UNKNOWN
    return Symbol(argument.arg) if value is UNKNOWN else value
