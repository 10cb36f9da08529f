"""What signatures and annotations say of values."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shapeguard.infer.values import (
    NUMBER,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Maybe,
    Symbol,
    certain,
)
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.annotation import Annotation, AnnotationSyntaxError, Fixed, Named, Symbolic, parse
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.expression import parse_dim
from shapeguard.shapes.shape import UNKNOWN_AXIS, Axis, Shape

Resolve = Callable[[ast.expr], Any]

_DTYPES = {
    "Bool": "bool",
    # Any whole number is good for an index; what torch makes by itself is an int64.
    "Int": "int64",
    "Integer": "int64",
    **{f"Float{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"Int{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    "BFloat16": "bfloat16",
    "UInt8": "uint8",
}
_TENSORS = frozenset({
    "torch.Tensor", "torch.FloatTensor", "torch.LongTensor", "torch.BoolTensor", "torch.IntTensor", "torch.HalfTensor",
    "torch.nn.Parameter", "torch.nn.parameter.Parameter", "torch.tensor.Tensor", "torch._tensor.Tensor",
})  # fmt: skip
_LAYERS = ("torch.nn.Linear", "torch.nn.Embedding")
"""Layers that do the same to axes whatever they are made with."""
_PLAIN = {
    "int": External("int"),
    "float": NUMBER,
    "bool": UNKNOWN,
    "str": UNKNOWN,
}


def annotated(annotation: ast.expr | None, resolve: Resolve) -> tuple[Any, Annotation | None]:
    """The value that an annotation claims, and its shape string; UNKNOWN where it claims nothing of use."""
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                return annotated(ast.parse(text, mode="eval").body, resolve)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return UNKNOWN, None
        case ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, ast.Constant(value=str(text))])):
            found = resolve(kind)
            if isinstance(found, External) and found.name.startswith("jaxtyping."):
                return _claimed_tensor(text, found.name.removeprefix("jaxtyping."))
        case ast.Name(id=name) if name in _PLAIN and resolve(annotation) in (External(name), UNKNOWN):
            return _PLAIN[name], None
        case ast.Name(id=name) | ast.Attribute(attr=name):
            if name.endswith(("Config", "Args", "Arguments")):
                return UNKNOWN, None
            found = resolve(annotation)
            if isinstance(found, External) and found.name in _TENSORS:
                return Tensor(Shape.unknown()), None
            return (found.value, found.annotation) if isinstance(found, Claim) else (found, None)
    return _of_several(annotation, resolve)


def _of_several(annotation: ast.expr | None, resolve: Resolve) -> tuple[Any, Annotation | None]:
    """What `A | None`, `Optional[A]` and `Union[A, None]` claim."""
    parts: list[ast.expr] = []
    match annotation:
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            parts = [left, right]
        case ast.Subscript(value=kind, slice=inside):
            name = getattr(kind, "id", getattr(kind, "attr", ""))
            if name == "Optional":
                parts = [inside, ast.Constant(None)]
            elif name == "Union":
                parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            elif name in ("Final", "Annotated", "ClassVar"):
                return annotated(inside.elts[0] if isinstance(inside, ast.Tuple) else inside, resolve)
            elif name in ("tuple", "Tuple") and isinstance(inside, ast.Tuple):
                return _of_tuple(inside.elts, resolve), None
            elif name in ("list", "List", "Sequence", "Iterable"):
                item, _ = annotated(inside, resolve)
                return (Many(item) if isinstance(item, Tensor) else UNKNOWN), None
    if not parts:
        return UNKNOWN, None
    real = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
    claims = [annotated(part, resolve) for part in real]
    first, text = claims[0] if claims else (UNKNOWN, None)
    if any(claim != first for claim, _ in claims):
        # Several kinds of tensors are one as far as their shape goes.
        tensors = [claim for claim, _ in claims if isinstance(claim, Tensor)]
        if len(tensors) != len(claims):
            return UNKNOWN, None
        first, text = Tensor(Shape.unknown()), None
    if len(real) == len(parts) or first is UNKNOWN:
        return first, text
    return (first if isinstance(first, Maybe) else Maybe(first)), text


def _of_tuple(parts: list[ast.expr], resolve: Resolve) -> Any:
    """What `tuple[A, B]` and `tuple[A, ...]` claim, where a tensor is among them."""
    kinds = [annotated(part, resolve)[0] for part in parts]
    if not any(isinstance(kind, Tensor) for kind in kinds):
        return UNKNOWN
    if isinstance(parts[-1], ast.Constant) and parts[-1].value is Ellipsis:
        return Many(kinds[0])
    return tuple(kind if isinstance(kind, Tensor) else UNKNOWN for kind in kinds)


@dataclass(frozen=True)
class Claim:
    """A jaxtyping annotation as a value: `Images = Float[Tensor, "b 3 h w"]`."""

    value: Any
    annotation: Annotation | None


def claimed(kind: str, index: Any) -> Any:
    """What `Float[Tensor, "b t"]` is as a value."""
    if isinstance(index, tuple) and len(index) == 2 and isinstance(index[1], str):  # noqa: PLR2004 - the array and its shape
        return Claim(*_claimed_tensor(index[1], kind.removeprefix("jaxtyping.")))
    return UNKNOWN


def shape_text(annotation: ast.expr | None) -> str:
    """The words between the quotes of `Float[Tensor, "b t"]`."""
    match annotation:
        case ast.Subscript(slice=ast.Tuple(elts=[_, ast.Constant(value=str(text))])):
            return text
    return "" if annotation is None else ast.unparse(annotation)


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
                return UNKNOWN_AXIS
    return UNKNOWN_AXIS


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def with_defaults(parameters: ast.arguments) -> list[tuple[ast.arg, ast.expr | None]]:
    """Each parameter that takes one argument, in order, with its default if it has one."""
    positional = [*parameters.posonlyargs, *parameters.args]
    without = len(positional) - len(parameters.defaults)
    defaults = [*[None] * without, *parameters.defaults, *parameters.kw_defaults]
    return list(zip([*positional, *parameters.kwonlyargs], defaults, strict=True))


def parameter_value(argument: ast.arg, default: ast.expr | None, resolve: Resolve) -> Any:  # noqa: PLR0911 - one case a kind of claim
    """What a parameter is before anything is passed: what its annotation claims, else a symbol of its name."""
    name = argument.arg
    value, _ = annotated(argument.annotation, resolve)
    inner = certain(value)
    if isinstance(inner, Tensor):
        is_none = isinstance(default, ast.Constant) and default.value is None
        return Maybe(inner) if is_none else value
    if isinstance(default, ast.Constant) and isinstance(default.value, float):
        return Symbol(name, is_number=True)
    if inner == External("int") or (isinstance(default, ast.Constant) and type(default.value) is int):
        return Maybe(Dim(name)) if isinstance(value, Maybe) else Dim(name)
    if isinstance(inner, External) and inner.name in _LAYERS and (layer := find(inner.name)) is not None:
        made = layer(UNKNOWN, UNKNOWN)
        return Maybe(made) if isinstance(value, Maybe) else made
    if inner is NUMBER:
        return Symbol(name, is_number=True) if not isinstance(value, Maybe) else UNKNOWN
    if isinstance(inner, Class) and inner.makes_records and (record := _record(inner, resolve)) is not None:
        return Maybe(record) if isinstance(value, Maybe) else record
    if isinstance(inner, Class) and not isinstance(value, Maybe):
        # What a configuration holds is the user's choice, whatever its defaults are.
        return Instance(inner) if inner.find("forward") is not None or _makes_tensors(inner) else Symbol(name)
    if isinstance(value, Many | Dictionary | tuple):
        return value
    if isinstance(default, ast.Constant) and isinstance(default.value, bool):
        return UNKNOWN
    return Symbol(name)


def _makes_tensors(cls: Class) -> bool:
    """Whether a class's own `__init__` makes layers or tensors."""
    initial = cls.find("__init__")
    return isinstance(initial, Function) and any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id in ("torch", "nn")
        for each in ast.walk(initial.node)
    )


def _record(cls: Class, resolve: Resolve) -> Instance | None:
    """A record some of whose fields are declared to be tensors."""
    claims: dict[str, Any] = {}
    for each in reversed(cls.ancestry):
        for statement in each.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                claim = annotated(statement.annotation, resolve)[0]
                claims[statement.target.id] = claim if isinstance(certain(claim), Tensor) else UNKNOWN
    return Instance(cls, claims) if any(isinstance(certain(claim), Tensor) for claim in claims.values()) else None


def says_shape(value: Any) -> bool:
    """Whether a claim says more than that something is a tensor."""
    inner = certain(value)
    return isinstance(inner, Tensor) and inner.shape.axes is not None
