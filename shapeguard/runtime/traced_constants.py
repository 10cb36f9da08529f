"""Demands as nothing but tuples, strings and numbers, which the tracer of torch.compile takes as constants."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shapeguard.runtime.demand import Array, Choice, Demand, Each, Items, Plain, Record, Values
from shapeguard.runtime.tensors import allowed_dtypes, is_tensor_class
from shapeguard.shapes.annotation import Annotation, AnyAxes, AnySize, Fixed, Named, NamedAxes, Symbolic

if TYPE_CHECKING:
    from shapeguard.runtime.plan import Plan

Constant = tuple[Any, ...]


def constant_demands(plan: Plan) -> Constant:
    """The demands of a plan: on the parameters, on the result, and the names that the first parameter keeps."""
    return (
        tuple((entry.name, entry.kind.value, constant_demand(entry.demand)) for entry in plan.parameters),
        constant_demand(plan.result if plan.stream is None else plan.stream.item),
        plan.self_dims if plan.parameters else (),
    )


def constant_demand(demand: Demand) -> Constant:
    """One demand; ("any",) for what is not checked while tracing."""
    match demand:
        case Array() if is_tensor_class(demand.array_type):
            dtypes = allowed_dtypes(demand)
            listed = None if dtypes is None else tuple(sorted(map(str, dtypes)))
            return ("array", listed, constant_axes(demand.annotation))
        case Choice(options=options):
            return _constant_choice(options)
        case Each(item=item):
            return ("each", constant_demand(item))
        case Items(items=items):
            return ("items", tuple(map(constant_demand, items)))
        case Values(value=value):
            return ("values", constant_demand(value))
        case Record(fields=fields, by_key=by_key):
            return ("record", by_key, tuple((name, constant_demand(field)) for name, field in fields))
    return ("any",)


def constant_axes(annotation: Annotation) -> Constant:
    """The axes of one annotation."""
    axes: list[Constant] = []
    for axis in annotation.axes:
        match axis:
            case AnySize():
                axes.append(("size",))
            case AnyAxes():
                axes.append(("axes",))
            case Fixed():
                axes.append(("fixed", axis.broadcast, axis.size))
            case Named(per_leaf=False):
                axes.append(("name", axis.broadcast, axis.name))
            case NamedAxes(per_leaf=False):
                axes.append(("run", axis.broadcast, axis.name))
            case NamedAxes():
                axes.append(("axes",))
            case Symbolic():
                axes.append(("expression", axis.broadcast, _constant_expression(axis), axis.word))
            case _:
                axes.append(("size",))
    return (annotation.text, -1 if annotation.variadic is None else annotation.variadic, tuple(axes))


def _constant_choice(options: tuple[Demand, ...]) -> Constant:
    """One demand that None meets too, or one array besides values of other kinds."""
    demands = [constant_demand(option) for option in options if not isinstance(option, Plain)]
    if len(demands) == 1:
        if all(option.hint is type(None) for option in options if isinstance(option, Plain)):
            return ("optional", demands[0])
        if demands[0][0] == "array":
            return ("maybe", demands[0])
    return ("any",)


def _constant_expression(axis: Symbolic) -> Constant:
    source = axis.expression
    stand_ins = {}
    for number, placeholder in enumerate(axis.placeholders):
        stand_ins[f"value_{number}_"] = placeholder
        source = source.replace("{" + placeholder + "}", f"value_{number}_")
    try:
        return _constant_node(ast.parse(source, mode="eval").body, stand_ins)
    except (SyntaxError, ValueError):
        return ("unknown",)


def _constant_node(node: ast.expr, stand_ins: Mapping[str, str]) -> Constant:
    match node:
        case ast.Constant(value=int()):
            return ("number", node.value)
        case ast.Name(id=name) if name in stand_ins:
            if not all(part.isidentifier() for part in stand_ins[name].split(".")):
                raise ValueError(name)
            return ("value", tuple(stand_ins[name].split(".")))
        case ast.Name(id=name):
            return ("read", name)
        case ast.BinOp(left=left, op=op, right=right):
            return (type(op).__name__, _constant_node(left, stand_ins), _constant_node(right, stand_ins))
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=[left, right], keywords=[]):
            return (name, _constant_node(left, stand_ins), _constant_node(right, stand_ins))
    raise ValueError(ast.dump(node))
