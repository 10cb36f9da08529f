"""What each expression is, and what an assignment does to the values in scope."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Protocol, Self

from shapeguard.infer import calls
from shapeguard.infer.values import (
    Bound,
    Chain,
    Class,
    Dictionary,
    External,
    Function,
    Instance,
    Many,
    Symbol,
    as_size,
    join,
)
from shapeguard.ops.registry import find
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.mismatch import AxisOutOfRange, Mismatch, OrderLengthMismatch, RepeatedAxis
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exhausted(Exception):  # noqa: N818 - no error: the budget of one function is spent
    """A function takes more steps than it may."""


class Reporter(Protocol):
    """Where findings, knowledge and losses go."""

    def report(
        self,
        evaluator: Evaluator,
        node: ast.expr | ast.stmt,
        code: str,
        name: str,
        message: str,
        notes: tuple[str, ...] = ...,
        hint: str | None = ...,
    ) -> None:
        """Add a finding."""

    def observe(self, evaluator: Evaluator, node: ast.expr, value: Tensor) -> None:
        """Remember what is known of an expression."""

    def lose(self, evaluator: Evaluator, node: ast.Call) -> None:
        """Remember a call that lost track."""


LONGEST_UNROLLED = 8
_DEEPEST_CALL = 6
_DTYPE_NAMES = frozenset({
    "float", "double", "half", "float16", "float32", "float64", "bfloat16", "int", "long", "short", "int8", "int16",
    "int32", "int64", "uint8", "bool", "complex64", "complex128",
})  # fmt: skip
_FULL_DTYPES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "int": "int32",
    "long": "int64",
    "short": "int16",
}
_KINDS = {
    OrderLengthMismatch: ("SG304", "wrong-permute"),
    RepeatedAxis: ("SG304", "wrong-permute"),
    AxisOutOfRange: ("SG306", "axis-out-of-range"),
}


class Evaluator:
    """The values in scope, and what is found out from them; the statements are Body's."""

    def __init__(self, reporter: Reporter, scope: dict[str, Any], qualified_name: str, steps: int = 200_000) -> None:
        self.reporter = reporter
        self.scope = scope
        self.qualified_name = qualified_name
        self.steps = [steps]
        self.muted = 0
        self.depth = 0
        self.owner: Class | None = None
        self.names: frozenset[str] = frozenset()
        self.returned: list[tuple[ast.expr, Any]] = []
        self.ended = False
        """Whether the statements so far leave the block: by return, raise, break or continue."""

    def inner(self, scope: dict[str, Any], name: str) -> Self:
        """An evaluator for a body that this one calls."""
        other = type(self)(self.reporter, scope, name)
        other.steps, other.depth, other.muted = self.steps, self.depth + 1, self.muted + 1
        return other

    @property
    def may_call(self) -> bool:
        """Whether another body may be followed from here."""
        return self.depth < _DEEPEST_CALL

    # Targets

    def assign(self, target: ast.expr, value: Any, source: ast.expr | None) -> None:
        """Give a target its value."""
        match target:
            case ast.Name(id=name):
                self.scope[name] = self.named(name, value, source)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                self.unpack(target, targets, value, source)
            case ast.Attribute(value=owner, attr=name):
                instance = self.value(owner)
                if isinstance(instance, Instance):
                    known = instance.attributes.get(name)
                    inside_init = self.qualified_name.endswith("__init__")
                    instance.attributes[name] = value if known is None or inside_init else join(known, value)
            case ast.Subscript() | ast.Starred():
                self.value(target.value)

    def named(self, name: str, value: Any, source: ast.expr | None) -> Any:
        """A size that is read without being known gets the name of the variable that it goes to."""
        if source is not None and isinstance(value, Dim) is False and _reads_size(source) and value is UNKNOWN:
            return Dim(self.fresh(name))
        return value

    def fresh(self, name: str) -> str:
        """A name for a size that no other value in scope has."""
        used = {str(value) for value in self.scope.values() if isinstance(value, Dim)} | self.names
        number = 2
        candidate = name
        while candidate in used:
            candidate = f"{name}_{number}"
            number += 1
        return candidate

    def unpack(self, node: ast.expr, targets: Sequence[ast.expr], value: Any, source: ast.expr | None) -> None:
        """Give several targets their values; the names of `b, t = x.shape` become sizes."""
        starred = any(isinstance(target, ast.Starred) for target in targets)
        if isinstance(value, tuple) and not starred and len(value) != len(targets):
            if source is not None and _reads_shape(source):
                message = f"{len(targets)} names for {len(value)} axes"
                shown = ", ".join(map(str, value))
                self.reporter.report(self, node, "SG305", "wrong-unpacking", message, (f"shape: ({shown})",))
            value = UNKNOWN
        if isinstance(value, tuple) and not starred:
            for target, item in zip(targets, value, strict=True):
                unknown_size = source is not None and _reads_shape(source) and item is UNKNOWN
                name = target.id if isinstance(target, ast.Name) else "size"
                self.assign(target, Dim(self.fresh(name)) if unknown_size else item, None)
            return
        owner = _shape_owner(source) if source is not None else None
        if owner is not None and not starred:
            sizes = [
                Dim(self.fresh(target.id)) if isinstance(target, ast.Name) and target.id != "_" else None
                for target in targets
            ]
            for target, size in zip(targets, sizes, strict=True):
                self.assign(target, UNKNOWN if size is None else size, None)
            if isinstance(owner, ast.Name):
                known = self.scope.get(owner.id)
                if isinstance(known, Symbol | Tensor) or known is UNKNOWN:
                    dtype = known.dtype if isinstance(known, Tensor) else None
                    self.scope[owner.id] = Tensor(Shape.of(*sizes), dtype)
            return
        item = value.item if isinstance(value, Many) else UNKNOWN
        for target in targets:
            self.assign(
                target.value if isinstance(target, ast.Starred) else target,
                UNKNOWN if isinstance(target, ast.Starred) else item,
                None,
            )

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Run statements; see Body."""
        raise NotImplementedError

    # Expressions

    def resolve(self, node: ast.expr) -> Any:
        """A name or dotted name, without a trace in the findings."""
        match node:
            case ast.Name(id=name):
                return self.scope.get(name, UNKNOWN)
            case ast.Attribute(value=owner, attr=name):
                found = self.resolve(owner)
                return External(f"{found.name}.{name}") if isinstance(found, External) else UNKNOWN
        return UNKNOWN

    def value(self, node: ast.expr) -> Any:
        """What an expression is."""
        self.steps[0] -= 1
        if self.steps[0] < 0:
            raise Exhausted
        result = self._value(node)
        if isinstance(result, Mismatch):
            code, name = _KINDS.get(type(result), ("SG301", "shape-mismatch"))
            self.reporter.report(self, node, code, name, result.sentence(), self.notes_of(node))
            result = UNKNOWN
        if isinstance(result, Tensor):
            self.reporter.observe(self, node, result)
        elif result is UNKNOWN and isinstance(node, ast.Call):
            self.reporter.lose(self, node)
        return result

    def notes_of(self, node: ast.expr) -> tuple[str, ...]:
        """The tensors that take part in an expression, each with its shape."""
        parts: list[ast.expr] = []
        match node:
            case ast.BinOp(left=left, right=right):
                parts = [left, right]
            case ast.Call(func=function, args=arguments):
                parts = [*([function.value] if isinstance(function, ast.Attribute) else []), *arguments]
            case ast.Subscript(value=value):
                parts = [value]
        self.muted += 1
        shown = []
        for part in parts:
            found = UNKNOWN if isinstance(part, ast.Starred) else self._value(part)
            several = found if isinstance(found, tuple) else (found,)
            shown += [f"{ast.unparse(part)}: {one.shape}" for one in several if isinstance(one, Tensor)]
        self.muted -= 1
        return tuple(dict.fromkeys(shown))

    def _value(self, node: ast.expr) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a kind of expression
        match node:
            case ast.Constant(value=bool() | float() | str() | None as value):
                return value
            case ast.Constant(value=int() as value):
                return Dim(value)
            case ast.Constant(value=value) if value is Ellipsis:
                return calls.ELLIPSIS
            case ast.Name(id=name):
                return self.scope.get(name, UNKNOWN)
            case ast.Attribute():
                return self.attribute(self.value(node.value), node.attr)
            case ast.List(elts=[]):
                # Something will be added to it.
                return Many(UNKNOWN)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return self.items(items)
            case ast.Dict(keys=keys, values=values):
                found = [self.value(value) for value in values]
                if all(isinstance(key, ast.Constant) for key in keys):
                    return Dictionary(
                        tuple(
                            (key.value, value)
                            for key, value in zip(keys, found, strict=True)
                            if isinstance(key, ast.Constant)
                        )
                    )
                return UNKNOWN
            case ast.BinOp(left=left, op=op, right=right):
                return calls.operate(type(op), self.value(left), self.value(right))
            case ast.UnaryOp(op=op, operand=operand):
                return calls.operate_one(type(op), self.value(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return calls.operate(type(op), self.value(left), self.value(right))
            case ast.Compare(left=left, comparators=others):
                for part in (left, *others):
                    self.value(part)
                return UNKNOWN
            case ast.BoolOp(values=values):
                found = [self.value(value) for value in values]
                return self.either(isinstance(node.op, ast.And), found)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                chosen = self.value(test)
                if isinstance(chosen, bool) or chosen is None:
                    return self.value(body if chosen else orelse)
                return join(self.value(body), self.value(orelse))
            case ast.Subscript():
                return calls.subscript(self.value(node.value), self.index(node.slice))
            case ast.Call():
                return calls.call(self, node)
            case ast.Lambda():
                return Function(node, self.scope, qualified(self.qualified_name, "<lambda>"), self.owner)
            case (
                ast.ListComp(elt=element, generators=[generator])
                | ast.GeneratorExp(elt=element, generators=[generator])
            ):
                return self.comprehension(element, generator)
            case ast.NamedExpr(target=target, value=value):
                result = self.value(value)
                self.assign(target, result, value)
                return result
            case ast.Await(value=value) | ast.Starred(value=value):
                return self.value(value)
            case ast.JoinedStr():
                return UNKNOWN
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and not isinstance(
                node, ast.SetComp | ast.DictComp | ast.ListComp | ast.GeneratorExp
            ):
                self.value(child)
        return UNKNOWN

    def items(self, nodes: Sequence[ast.expr]) -> Any:
        """The items of a tuple or list that is written out."""
        found: list[Any] = []
        for node in nodes:
            value = self.value(node)
            if not isinstance(node, ast.Starred):
                found.append(value)
            elif isinstance(value, tuple):
                found += value
            else:
                return UNKNOWN
        return tuple(found)

    def either(self, is_and: bool, found: list[Any]) -> Any:  # noqa: FBT001
        """`and` and `or` of values."""
        if all(isinstance(value, bool) for value in found):
            return all(found) if is_and else any(found)
        if any(value is (not is_and) for value in found):
            return not is_and
        if not is_and and len(found) == 2 and found[0] is None:  # noqa: PLR2004 - `x or y`
            return found[1]
        return UNKNOWN

    def index(self, node: ast.expr) -> Any:
        """What stands between the brackets of a subscript."""
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                parts = (None if part is None else as_size(self.value(part)) for part in (lower, upper, step))
                return calls.slice_of(*parts)
            case ast.Tuple(elts=items):
                return tuple(self.index(item) for item in items)
        return self.value(node)

    def comprehension(self, element: ast.expr, generator: ast.comprehension) -> Any:
        """A list comprehension, or a generator in its place."""
        items = self.value(generator.iter)
        before = dict(self.scope)
        result: Any
        if isinstance(items, tuple) and len(items) <= LONGEST_UNROLLED and not generator.ifs:
            found = []
            for item in items:
                self.assign(generator.target, item, None)
                found.append(self.value(element))
            result = tuple(found)
        else:
            self.assign(generator.target, items.item if isinstance(items, Many) else calls.item_of(items), None)
            result = Many(self.value(element))
        self.scope = before
        return result

    def attribute(self, owner: Any, name: str) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a kind of owner
        """`owner.name`."""
        match owner:
            case External(name=module):
                full = f"{module}.{name}"
                if module == "torch" and name in _DTYPE_NAMES:
                    return Dtype(_FULL_DTYPES.get(name, name))
                return External(full)
            case Symbol(name=base):
                return Symbol(f"{base}.{name}")
            case Tensor(shape=shape, dtype=dtype):
                if name == "shape":
                    return calls.sizes_of(owner)
                if name in ("T", "mT", "H", "mH"):
                    return calls.transposed(owner)
                if name in ("data", "grad", "real", "imag"):
                    return owner
                if name == "ndim":
                    return UNKNOWN if shape.axes is None else Dim(len(shape.axes))
                if name == "dtype":
                    return UNKNOWN if dtype is None else Dtype(dtype)
                method = find(f"Tensor.{name}")
                return UNKNOWN if method is None else Bound(owner, method)
            case Instance(cls=cls, attributes=attributes):
                if name in attributes:
                    return attributes[name]
                member = cls.find(name)
                if isinstance(member, Function):
                    kinds = {getattr(decorator, "id", "") for decorator in getattr(member.node, "decorator_list", ())}
                    if "property" in kinds or "cached_property" in kinds:
                        return calls.call_function(self, member, [owner], {})
                    return member if "staticmethod" in kinds else Bound(owner, member)
                return UNKNOWN if member is None else member
            case Module(attributes=attributes):
                return attributes.get(name, UNKNOWN)
            case Class():
                member = owner.find(name)
                return UNKNOWN if member is None else member
            case Dictionary():
                return Bound(owner, owner.get) if name == "get" else UNKNOWN
            case Chain(modules=modules):
                return modules[int(name)] if name.isdigit() and int(name) < len(modules) else UNKNOWN
        return UNKNOWN


def qualified(outer: str, name: str) -> str:
    """The name of something inside a function or class."""
    return f"{outer}.{name}" if outer else name


def _shape_owner(source: ast.expr) -> ast.expr | None:
    """The tensor in `x.shape` or `x.size()`."""
    match source:
        case ast.Attribute(value=owner, attr="shape"):
            return owner
        case ast.Call(func=ast.Attribute(value=owner, attr="size"), args=[]):
            return owner
    return None


def _reads_shape(source: ast.expr) -> bool:
    return _shape_owner(source) is not None


def _reads_size(source: ast.expr) -> bool:
    """Whether an expression is `x.shape[i]` or `x.size(i)`."""
    match source:
        case ast.Subscript(value=value, slice=index):
            return _reads_shape(value) and not isinstance(index, ast.Slice)
        case ast.Call(func=ast.Attribute(attr="size"), args=[_]):
            return True
    return False
