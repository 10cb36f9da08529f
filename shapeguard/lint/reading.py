"""What a rule can ask of a file: its calls, what names mean, where values come from and go to, what shapes they have."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from shapeguard.lint.binding import BINDERS, Binding, bindings_by, definition, scopes_of
from shapeguard.lint.importing import bound_otherwise, imported_here, imported_names
from shapeguard.lint.order import Places, places_in

if TYPE_CHECKING:
    from shapeguard.ops.values import Tensor
    from shapeguard.shapes.shape import Shape
    from shapeguard.source.file import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Node = TypeVar("Node", bound=ast.AST)

_FUNCTIONS: frozenset[type[Function]] = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda})
_NAMED_FUNCTIONS: frozenset[type[ast.FunctionDef | ast.AsyncFunctionDef]] = frozenset(
    {ast.FunctionDef, ast.AsyncFunctionDef}
)
_CLASSES = frozenset({ast.ClassDef})
_HOLD_NO_NODE = frozenset({"ctx", "op", "ops", "type_ignores", "id", "attr", "arg", "module", "level", "kwd_attrs"})
"""Fields of texts, numbers, and nodes that have no place."""
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in reversed(kind._fields) if name not in _HOLD_NO_NODE)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
} | {ast.Constant: (), ast.Global: (), ast.Nonlocal: ()}
"""Type -> the fields that may hold nodes, the last one first."""


_MOST_STEPS = 200_000
"""That a rule may ask of one file; no file of 18 large packages takes 5,000."""
_MOST_READS = 40
"""A value that is read at more places is none that a rule asks for."""


class TooLongError(Exception):
    """A rule has asked too much of a file."""


class Reading:
    """A file as rules see it. Everything is worked out when it is first asked for."""

    def __init__(self, source: Source, tensors: Callable[[], Mapping[ast.expr, Tensor]]) -> None:
        self.source = source
        self._tensors = tensors
        self._parents: dict[ast.AST, ast.AST] = {}
        self._binders: list[ast.AST] = []
        self._definitions: dict[ast.Name, Binding | None] = {}
        self._places: dict[ast.AST, Places] = {}
        self._spent = 0

    def start(self) -> None:
        """Begin with another rule, which may ask as much as the one before."""
        self._spent = 0

    def spend(self, steps: int = 1) -> None:
        """Count what is asked; raises TooLongError where that comes to no end, as it may in files that programs write."""
        self._spent += steps
        if self._spent > _MOST_STEPS:
            raise TooLongError

    # What stands where.

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[ast.AST]]:
        """Every node with a place by its type, in the order of the source; and its parent on the way."""
        # Nothing takes the lint longer, so it is written for speed.
        found: dict[type[ast.AST], list[ast.AST]] = {kind: [] for kind in _FIELDS}
        parents, binders, fields = self._parents, self._binders, _FIELDS
        waiting: list[ast.AST] = [self.source.tree]
        while waiting:
            node = waiting.pop()
            kind = node.__class__
            found[kind].append(node)
            if kind in BINDERS:
                binders.append(node)
            for name in fields[kind]:
                value = getattr(node, name)
                if value.__class__ is list:
                    for child in reversed(value):
                        if child is not None:
                            parents[child] = node
                            waiting.append(child)
                elif value is not None and isinstance(value, ast.AST):
                    parents[value] = node
                    waiting.append(value)
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

    def places(self, node: ast.AST) -> Places:
        """Where the parts of a node stand in it."""
        if node not in self._places:
            self._places[node] = places_in(node)
        return self._places[node]

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

    def is_in(self, node: ast.AST, outer: ast.AST) -> bool:
        """Whether a node stands inside another one."""
        return any(each is outer for each in self.around(node))

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that holds a node."""
        return next(each for each in (node, *self.around(node)) if isinstance(each, ast.stmt))

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function around a node."""
        return self._nearest(node, _FUNCTIONS)

    def named_function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a node that isn't a lambda."""
        return self._nearest(node, _NAMED_FUNCTIONS)

    def scope(self, node: ast.AST) -> Function | ast.Module:
        """The innermost function around a node, or the file."""
        return self.function(node) or self.source.tree

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return self._nearest(node, _CLASSES)

    def _nearest(self, node: ast.AST, kinds: frozenset[type[Node]]) -> Node | None:
        _ = self._nodes
        parents = self._parents
        inner = parents.get(node)
        while inner is not None and inner.__class__ not in kinds:
            inner = parents.get(inner)
        self.spend()
        return inner

    def text(self, node: ast.expr | ast.stmt) -> str:
        """A node as it is written, on one line."""
        self.spend()
        return " ".join(self.source.segment(node).split())

    # What names mean.

    @cached_property
    def _imported(self) -> dict[str, set[str]]:
        return imported_names(self)

    @cached_property
    def _bound_otherwise(self) -> set[str]:
        return bound_otherwise(self) & self._imported.keys()

    def full_name(self, node: ast.expr) -> str | None:
        """`torch.nn.functional.softmax` for `F.softmax`, by the imports of the file; None for what isn't imported."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return None
        meanings = self._imported[node.id]
        several = len(meanings) > 1 or node.id in self._bound_otherwise
        start = imported_here(self, node) if several else next(iter(meanings))
        return None if start is None else ".".join((start, *reversed(parts)))

    def is_torch(self, call: ast.Call, *names: str) -> bool:
        """Whether a call is of one of torch's functions or layers by these last names: `softmax` in any torch module."""
        full = self.full_name(call.func)
        return full is not None and full.partition(".")[0] == "torch" and full.rpartition(".")[2] in names

    def torch_calls(self, *names: str) -> Iterator[tuple[ast.Call, str]]:
        """The calls of torch's functions or layers by these last names, however they are imported; and which it is."""
        meanings = ((alias, full) for alias, every in self._imported.items() for full in every)
        written = {*names, *(alias for alias, full in meanings if full.rpartition(".")[2] in names)}
        for call in self.calls(*sorted(written)):
            full = self.full_name(call.func)
            if full is not None and full.partition(".")[0] == "torch" and full.rpartition(".")[2] in names:
                yield call, full.rpartition(".")[2]

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
        for name in self._loads.get((scope, target.id), ()):
            binding = self.definition(name)
            if binding is not None and binding.target is target:
                found.append(name)
        return found

    def reads(self, node: ast.expr) -> list[ast.expr]:
        """Where a value is read: where it stands, and where the name is read that it is given."""
        match self.parent(node):
            case ast.Assign(targets=[ast.Name() as name]):
                return [node, *self.uses(name)]
        return [node]

    def reads_beyond(
        self, node: ast.expr, onward: Callable[[ast.AST], ast.AST | None]
    ) -> Iterator[tuple[ast.AST, ast.AST | None]]:
        """Where a value is read, each with what stands around it; `onward` says in what it goes on, through more names."""
        waiting: list[ast.AST] = [node]
        for _ in range(_MOST_READS):
            if not waiting:
                return
            each = waiting.pop()
            around = self.parent(each)
            yield each, around
            match around:
                case ast.Assign(targets=[ast.Name() as name]):
                    waiting += self.uses(name)
                case _:
                    further = onward(each)
                    waiting += [] if further is None else [further]

    @cached_property
    def _loads(self) -> dict[tuple[ast.AST, str], list[ast.Name]]:
        """Scope and name -> where it is read in the scope."""
        found: dict[tuple[ast.AST, str], list[ast.Name]] = {}
        for name in self.all(ast.Name):
            if isinstance(name.ctx, ast.Load):
                found.setdefault((self.scope(name), name.id), []).append(name)
        return found

    def bindings(self, scope: ast.AST, name: str) -> list[Binding]:
        """Every assignment to a name in a function or file, in order."""
        known = self._bindings_of
        if scope not in known:
            known[scope] = bindings_by(self._binders_in.get(scope, ()))
        return known[scope].get(name, [])

    @cached_property
    def _bindings_of(self) -> dict[ast.AST, dict[str, list[Binding]]]:
        return {}

    @cached_property
    def _binders_in(self) -> dict[ast.AST, list[ast.AST]]:
        _ = self._nodes
        return scopes_of(self._binders, self._parents)

    def layer(self, func: ast.expr) -> ast.Call | None:
        """The call that makes what is called: `nn.LSTM(...)` for `self.lstm`, if it is made in one way only."""
        match func:
            case ast.Name():
                made = self.origin(func)
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                owner = self.class_of(func)
                values = [] if owner is None else self.assigned(owner, attribute)
                if len(values) != 1:
                    return None
                made = values[0]
            case _:
                return None
        return made if isinstance(made, ast.Call) else None

    def assigned(self, owner: ast.ClassDef, attribute: str) -> list[ast.expr]:
        """What is assigned to `self.attribute` anywhere in a class; the attribute itself for what is no expression."""
        return self._attributes.get((owner, attribute), [])

    @cached_property
    def _attributes(self) -> dict[tuple[ast.ClassDef, str], list[ast.expr]]:
        """Class and attribute -> what is assigned to it."""
        found: dict[tuple[ast.ClassDef, str], list[ast.expr]] = {}
        for target in self.all(ast.Attribute):
            if isinstance(target.ctx, ast.Load) or not isinstance(target.value, ast.Name) or target.value.id != "self":
                continue
            owner = self.class_of(target)
            given: ast.expr = target
            match self.parent(target):
                case ast.AnnAssign(value=None):
                    continue
                case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                    given = value
                case ast.Tuple(elts=parts) as several:
                    match self.parent(several):
                        case ast.Assign(value=ast.Tuple(elts=values)) if len(values) == len(parts):
                            given = values[parts.index(target)]
            if owner is not None:
                found.setdefault((owner, target.attr), []).append(given)
        return found

    def given(self, call: ast.Call, position: int, *keywords: str) -> ast.expr | None:
        """The argument of a function of torch; of a method, whose first one is its owner, the same.

        `x` and `1` are the first and the second of `torch.sum(x, 1)` and of `x.sum(1)`.
        """
        if self.full_name(call.func) is not None:
            return argument(call, position, *keywords) if self.is_torch(call, last_name(call.func)) else None
        owner = receiver(call)
        return owner if owner is None or position == 0 else argument(call, position - 1, *keywords)

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


def is_self(node: ast.expr) -> bool:
    """Whether it is the name `self`."""
    return isinstance(node, ast.Name) and node.id == "self"


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


def is_hiding(call: ast.Call) -> bool:
    """Whether a `*values` or `**options` hides some of what a call is given."""
    return any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords)
