"""What a rule can ask of a file: its calls, what names mean, where values come from and go to, what shapes they have."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from shapeguard.lint.binding import Binding, bindings_in, definition
from shapeguard.ops.values import Tensor
from shapeguard.shapes.shape import Shape

if TYPE_CHECKING:
    from shapeguard.source.file import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Node = TypeVar("Node", bound=ast.AST)


class Reading:
    """A file as rules see it. Everything is worked out when it is first asked for."""

    def __init__(self, source: Source, tensors: Callable[[], Mapping[ast.expr, Tensor]]) -> None:
        self.source = source
        self._tensors = tensors
        self._parents: dict[ast.AST, ast.AST] = {}
        self._definitions: dict[ast.Name, Binding | None] = {}

    # What stands where.

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[ast.AST]]:
        """Every node by its type, in the order of the source; and its parent on the way."""
        found: dict[type[ast.AST], list[ast.AST]] = {}
        parents = self._parents
        waiting: list[ast.AST] = [self.source.tree]
        while waiting:
            node = waiting.pop()
            found.setdefault(type(node), []).append(node)
            children: list[ast.AST] = []
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, list):
                    children += [each for each in value if isinstance(each, ast.AST)]
                elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                    children.append(value)
            for child in reversed(children):
                parents[child] = node
                waiting.append(child)
        return found

    def all(self, kind: type[Node]) -> list[Node]:
        """All nodes of exactly this type."""
        return self._nodes.get(kind, [])  # type: ignore[return-value] # by construction

    @cached_property
    def _calls(self) -> dict[str, list[ast.Call]]:
        found: dict[str, list[ast.Call]] = {}
        for call in self.all(ast.Call):
            found.setdefault(last_name(call.func), []).append(call)
        return found

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """The calls of anything that ends in one of these names: `squeeze` for `x.squeeze()` and `torch.squeeze(x)`."""
        for name in names:
            yield from self._calls.get(name, ())

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around one; None for the file."""
        _ = self._nodes
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around one, from the inside out."""
        inner = self.parent(node)
        while inner is not None:
            yield inner
            inner = self.parent(inner)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds a node."""
        return next(each for each in (node, *self.around(node)) if isinstance(each, ast.stmt))

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function around a node."""
        return next((each for each in self.around(node) if isinstance(each, Function)), None)

    def scope(self, node: ast.AST) -> Function | ast.Module:
        """The innermost function around a node, or the file."""
        return self.function(node) or self.source.tree

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return next((each for each in self.around(node) if isinstance(each, ast.ClassDef)), None)

    def text(self, node: ast.expr | ast.stmt) -> str:
        """A node as it is written, on one line."""
        return " ".join(self.source.segment(node).split())

    # What names mean.

    @cached_property
    def _imported(self) -> dict[str, str]:
        """Name -> what an import anywhere in the file binds it to."""
        found: dict[str, str] = {}
        for statement in self.all(ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        for origin in self.all(ast.ImportFrom):
            for alias in origin.names:
                if origin.module and not origin.level:
                    found[alias.asname or alias.name] = f"{origin.module}.{alias.name}"
        return found

    def full_name(self, node: ast.expr) -> str | None:
        """`torch.nn.functional.softmax` for `F.softmax`, by the imports of the file; None for what isn't imported."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return None
        return ".".join((self._imported[node.id], *reversed(parts)))

    def is_torch(self, call: ast.Call, *names: str) -> bool:
        """Whether a call is of one of torch's functions or layers by these last names: `softmax` in any torch module."""
        full = self.full_name(call.func)
        return full is not None and full.partition(".")[0] == "torch" and full.rpartition(".")[2] in names

    # Where values come from and go to.

    def definition(self, name: ast.Name) -> Binding | None:
        """The one assignment that a name surely has its value from where it is read; None where there are several."""
        if name not in self._definitions:
            self._definitions[name] = definition(self, name)
        return self._definitions[name]

    def origin(self, node: ast.expr) -> ast.expr:
        """The expression that a value comes from: through names that are assigned once, as far as that is sure."""
        seen = 0
        while isinstance(node, ast.Name) and seen < 8:  # noqa: PLR2004 - a chain so long is no code
            binding = self.definition(node)
            if binding is None or binding.value is None or binding.index is not None:
                break
            node, seen = binding.value, seen + 1
        return node

    def uses(self, target: ast.Name) -> list[ast.Name]:
        """The places that read the value which an assignment to a name gives, as far as that is sure."""
        scope = self.scope(target)
        found: list[ast.Name] = []
        for name in self._loads(scope).get(target.id, ()):
            binding = self.definition(name)
            if binding is not None and binding.target is target:
                found.append(name)
        return found

    def _loads(self, scope: ast.AST) -> dict[str, list[ast.Name]]:
        known = self._loads_of
        if scope not in known:
            known[scope] = {}
            for name in self.all(ast.Name):
                if isinstance(name.ctx, ast.Load) and self.scope(name) is scope:
                    known[scope].setdefault(name.id, []).append(name)
        return known[scope]

    @cached_property
    def _loads_of(self) -> dict[ast.AST, dict[str, list[ast.Name]]]:
        return {}

    def bindings(self, scope: ast.AST, name: str) -> list[Binding]:
        """Every assignment to a name in a function or file, in order."""
        known = self._bindings_of
        if scope not in known:
            known[scope] = bindings_in(scope)
        return known[scope].get(name, [])

    @cached_property
    def _bindings_of(self) -> dict[ast.AST, dict[str, list[Binding]]]:
        return {}

    def layer(self, func: ast.expr) -> ast.Call | None:
        """The call that makes what is called: `nn.LSTM(...)` for `self.lstm`, if it is made in one way only."""
        match func:
            case ast.Name():
                made = self.origin(func)
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                owner = self.class_of(func)
                values = [] if owner is None else self._attributes(owner).get(attribute, [])
                if len(values) != 1:
                    return None
                made = values[0]
            case _:
                return None
        return made if isinstance(made, ast.Call) else None

    def _attributes(self, owner: ast.ClassDef) -> dict[str, list[ast.expr]]:
        """Attribute -> what `self.attribute = ...` assigns anywhere in a class."""
        known = self._attributes_of
        if owner not in known:
            known[owner] = {}
            statements: list[ast.Assign | ast.AnnAssign] = [*self.all(ast.Assign), *self.all(ast.AnnAssign)]
            for statement in statements:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    match target:
                        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                            if statement.value is not None and self.class_of(statement) is owner:
                                known[owner].setdefault(attribute, []).append(statement.value)
        return known[owner]

    @cached_property
    def _attributes_of(self) -> dict[ast.ClassDef, dict[str, list[ast.expr]]]:
        return {}

    # What shapes they have.

    def tensor(self, node: ast.expr) -> Tensor | None:
        """What the static checker knows of an expression from what the code states; None if it isn't seen as a tensor."""
        return self._tensors().get(node)

    def shape_of(self, node: ast.expr) -> Shape | None:
        """The shape of an expression, where at least its rank is known."""
        tensor = self.tensor(node)
        return None if tensor is None or tensor.shape.axes is None else tensor.shape


def last_name(node: ast.expr) -> str:
    """`softmax` of `F.softmax` and of `softmax`; "" for what has no name."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def receiver(call: ast.Call) -> ast.expr | None:
    """`x` of `x.squeeze()`."""
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def argument(call: ast.Call, position: int, *keywords: str) -> ast.expr | None:
    """The argument at a position, or by a keyword; None where there is none, or where a `*args` hides it."""
    before = call.args[: position + 1]
    if any(isinstance(each, ast.Starred) for each in before):
        return None
    if position < len(call.args):
        return call.args[position]
    return next((each.value for each in call.keywords if each.arg in keywords), None)


def number(node: ast.expr | None) -> int | None:
    """The integer that is written: `-1`."""
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))) if not isinstance(value, bool):
            return -value
    return None
