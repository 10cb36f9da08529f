"""Where track of tensors is lost first, in a file of which some expressions are known."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from instrument import Place, Places

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEEPEST = 60
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Binding:
    """One place where a function gives a name a value."""

    holds_from: tuple[int, int]
    """The line and column, as `ast` counts them, after which it holds."""
    value: ast.expr | None
    """What the name is, where that is written."""
    inside: ast.expr | None = None
    """What the name is taken out of: unpacked, or iterated over."""
    how: str = ""
    always: bool = False
    """Whether the function always comes by: what was bound before is gone."""


class File:
    """A file's expressions by place, the function around each, and what binds its names."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.places = Places(text)
        self.nodes: dict[Place, ast.expr] = {}
        self.around: dict[ast.AST, _Function | None] = {}
        self.names: dict[ast.AST, str] = {}
        self.bindings: dict[ast.AST, dict[str, list[_Binding]]] = {}
        self._walk(ast.parse(text), None, "")

    def text_at(self, place: Place) -> str:
        """An expression's text, short enough for a list."""
        return shortened(self.nodes[place])

    def _walk(self, node: ast.AST, function: _Function | None, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            self.around[child] = function
            if isinstance(child, ast.expr):
                self.nodes[self.places.of(child)] = child
            if function is not None:
                self._bind(child, function)
            inner, inner_name = function, name
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                inner_name = f"{name}.{child.name}" if name else child.name
            if isinstance(child, _FUNCTIONS):
                inner = child
                self.names[child] = inner_name
                self.bindings[child] = {}
            self._walk(child, inner, inner_name)

    def _bind(self, node: ast.AST, function: _Function) -> None:
        into = self.bindings[function]
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    _bind_target(target, value, into, always=node in function.body)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                _bind_target(target, value, into, always=node in function.body)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                into.setdefault(name, []).append(_Binding(_end(value), None, value, "augmented"))
            case ast.For(target=target, iter=iterated):
                for name in _names_in(target):
                    into.setdefault(name, []).append(_Binding(_end(iterated), None, iterated, "for"))
            case ast.comprehension(target=target, iter=iterated):
                for name in _names_in(target):
                    # The element stands before it; the line is near enough.
                    into.setdefault(name, []).append(_Binding((target.lineno - 1, 0), None, iterated, "for"))
            case ast.withitem(context_expr=context, optional_vars=ast.expr() as target):
                for name in _names_in(target):
                    into.setdefault(name, []).append(_Binding(_end(context), None, context, "with"))
            case _:
                pass


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _bind_target(target: ast.expr, value: ast.expr, into: dict[str, list[_Binding]], *, always: bool) -> None:
    match target, value:
        case ast.Name(id=name), _:
            into.setdefault(name, []).append(_Binding(_end(value), value, always=always))
        case ((ast.Tuple(elts=targets) | ast.List(elts=targets)), ast.Tuple(elts=values)) if len(targets) == len(
            values
        ):
            for each, its in zip(targets, values, strict=True):
                _bind_target(each, its, into, always=always)
        case ((ast.Tuple() | ast.List()), _):
            for name in _names_in(target):
                into.setdefault(name, []).append(_Binding(_end(value), None, value, "unpacked", always))
        case _:
            pass


def _names_in(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def shortened(node: ast.expr, at_most: int = 60) -> str:
    """An expression as text, on one line."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= at_most else f"{text[: at_most - 1]}…"


@dataclass
class Losses:
    """Cause -> how many expressions begin with it, and how many are unknown because of it."""

    first: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, file: File, observed: set[Place], is_known: Callable[[Place], bool]) -> None:
        """Count the causes in one file."""
        search = Search(file, observed, is_known)
        for place in sorted(observed):
            if not is_known(place):
                cause, origin = search.cause(file.nodes[place])
                self.all[cause] += 1
                if origin is file.nodes[place]:
                    self.first[cause] += 1
                line, column, *_ = file.places.of(origin)
                self.examples.setdefault(cause, f"{file.path}:{line}:{column} {shortened(origin)}")

    def render(self, at_most: int) -> str:
        """A line per cause, the ones that cost most first."""
        rows = [f"{'costs':>6}{'first':>6}  cause"]
        rows += [
            f"{count:>6}{self.first[cause]:>6}  {cause:<58} {self.examples[cause]}"
            for cause, count in self.all.most_common(at_most)
        ]
        rows.append(f"{sum(self.all.values()):>6}{sum(self.first.values()):>6}  in all, {len(self.all)} causes")
        return "\n".join(rows)

    def render_parameters(self, at_most: int = 25) -> str:
        """The parameters, those of one name together."""
        by_name: Counter[str] = Counter()
        for cause, count in self.all.items():
            kind, _, rest = cause.partition(" ")
            if kind == "parameter":
                by_name[rest.partition(" of ")[0]] += count
        return "\n".join(f"{count:>6}  {name}" for name, count in by_name.most_common(at_most))


@dataclass(frozen=True)
class Search:
    """Looks for what made an expression unknown: in its parts first, then in what binds its names."""

    file: File
    observed: set[Place]
    is_known: Callable[[Place], bool]

    def cause(self, node: ast.expr, depth: int = _DEEPEST) -> tuple[str, ast.expr]:
        """The cause, as a label, and the expression in which it lies."""
        for part in self._tensor_parts(node):
            if not self.is_known(self.file.places.of(part)):
                return self.cause(part, depth - 1) if depth else (_label(part, self), part)
        if isinstance(node, ast.Name):
            return self._of_name(node, node, depth)
        if isinstance(node, ast.Attribute | ast.Subscript):
            root = _root(node)
            if isinstance(root, ast.Name) and not self._is_tensor(node.value):
                return self._of_name(root, node, depth)
            if isinstance(root, ast.Call) and root is not node and not self._is_tensor(root):
                return _label(root, self), node
        return _label(node, self), node

    def _of_name(self, name: ast.Name, whole: ast.expr, depth: int) -> tuple[str, ast.expr]:
        """What makes a name, or what is read of it, unknown."""
        function = self.file.around.get(name)
        called = self.file.names.get(function, "") if function is not None else ""
        bindings = self.file.bindings.get(function, {}).get(name.id, []) if function is not None else []
        before = [binding for binding in bindings if binding.holds_from <= (name.lineno, name.col_offset)]
        parameter = f"parameter {name.id} of {called}" if _is_parameter(name.id, function) and name.id != "self" else ""
        for binding in reversed(before):
            found = self._of_binding(binding, name, whole, depth)
            if found is not None:
                return found
            if binding.always:
                break
        else:
            if parameter:
                return parameter, whole
        if before:
            return f"join of {name.id} in {called}", whole
        return f"{shortened(whole)} in {called.rpartition('.')[0] or called}", whole

    def _of_binding(
        self, binding: _Binding, name: ast.Name, whole: ast.expr, depth: int
    ) -> tuple[str, ast.expr] | None:
        """What makes the value of a binding unknown; None where it is known."""
        source = binding.value if binding.value is not None else binding.inside
        if source is None or not depth or isinstance(source, ast.Constant):
            return None
        if self._is_tensor(source) and binding.value is not None:
            return None if self.is_known(self.file.places.of(source)) else self.cause(source, depth - 1)
        for part in self._tensor_parts(source):
            if not self.is_known(self.file.places.of(part)):
                return self.cause(part, depth - 1)
        root = _root(source)
        if isinstance(root, ast.Name) and root.id != name.id:
            return self._of_name(root, whole if root is source else source, depth - 1)
        how = f" ({binding.how})" if binding.how else ""
        return f"{_label(source, self)}{how}", whole

    def _is_tensor(self, node: ast.expr) -> bool:
        return self.file.places.of(node) in self.observed

    def _tensor_parts(self, node: ast.AST) -> Iterator[ast.expr]:
        """The outermost tensors in an expression."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Lambda):
                continue
            if isinstance(child, ast.expr) and self._is_tensor(child):
                yield child
            else:
                yield from self._tensor_parts(child)


def _label(node: ast.expr, search: Search) -> str:
    """The kind of an expression: what it calls, or its operator."""
    match node:
        case ast.Call(func=ast.Attribute(value=receiver, attr=name)) if search._is_tensor(receiver):
            return f"Tensor.{name}"
        case ast.Call(func=function):
            return f"{shortened(function)}()"
        case ast.BinOp(op=operator):
            return f"operator {type(operator).__name__}"
        case ast.UnaryOp(op=operator):
            return f"operator {type(operator).__name__}"
        case ast.Compare(ops=[operator, *_]):
            return f"operator {type(operator).__name__}"
        case ast.Subscript(slice=index):
            return f"subscript [{shortened(index, 40)}]"
        case ast.Attribute(attr=name):
            return f"attribute .{name}"
        case _:
            return f"{type(node).__name__} {shortened(node)}"


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _is_parameter(name: str, function: ast.AST | None) -> bool:
    if not isinstance(function, _FUNCTIONS):
        return False
    parameters = function.args
    listed = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
    return any(each.arg == name for each in (*listed, parameters.vararg, parameters.kwarg) if each is not None)
