"""How the import hook changes a module's syntax tree, between reading and compiling.

Each function whose annotations could mention an array gets an innermost decorator, each class an outermost one for the
`__init__` that a decorator such as `dataclass` has written. So a function is guarded before anyone can get hold of it,
and every decorator of its own sees it as it saw it before. Every line keeps its number. A function inside a function is
left alone: it is made anew at each call, and so would its guard be.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping

from shapeguard.runtime import defined

HOOK = "__shapeguard__"
"""The name of `shapeguard.runtime.defined` in the modules that are changed."""
_DTYPES = {
    name
    for name, value in vars(jaxtyping).items()
    if isinstance(value, type) and issubclass(value, jaxtyping.AbstractDtype)
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def decorate(tree: ast.Module) -> ast.Module:
    """Add the decorators, and the import that they need; a tree that needs none stays as it is."""
    names = _NamesOfModule(tree)
    decorated = False
    waiting: list[tuple[list[ast.stmt], bool]] = [(tree.body, True)]
    while waiting:
        body, guarding = waiting.pop()
        for statement in _statements(body):
            if not isinstance(statement, _Function | ast.ClassDef):
                continue
            marks = {names.decorator(decorator) for decorator in statement.decorator_list}
            if "no_type_check" in marks:
                continue
            is_class = isinstance(statement, ast.ClassDef)
            # Who wrote `guard` on a function or a class has said how it is to be guarded.
            by_hand = "guard" in marks
            if not by_hand and (guarding or is_class):
                decorated |= names.decorate(statement)
            if is_class:
                waiting.append((statement.body, not by_hand))
    if decorated:
        _insert_imports(tree, names)
    return tree


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of one scope, those inside `if`, `with` and the like too."""
    waiting: list[Any] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, _Function | ast.ClassDef):
            continue
        for block in ("handlers", "cases", "finalbody", "orelse", "body"):
            children = getattr(node, block, None)
            if isinstance(children, list):
                waiting += reversed(children)


class _NamesOfModule:
    """What the names at the top of a module's text stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.guards: set[str] = set()
        self.dtypes = set(_DTYPES)
        self.aliases: set[str] = set()
        self.late: dict[str, tuple[str, str]] = {}
        for statement in _statements(tree.body):
            match statement:
                case ast.Import() | ast.ImportFrom():
                    self.read_import(statement)
                case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body=body):
                    for part in _statements(body):
                        self.late.update(_sources(part))
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if self.shows_array(value):
                    self.aliases.add(name)
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if self.shows_array(value):
                    self.aliases.add(name)

    def read_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for name, (module, attribute) in _sources(statement).items():
            if module.partition(".")[0] == "shapeguard":
                self.guards.add(name)
            elif module == "jaxtyping" and attribute in _DTYPES:
                self.dtypes.add(name)

    def decorator(self, node: ast.expr) -> str:
        """`guard` or `no_type_check` if a decorator is one of them, under whatever name."""
        names = _dotted(node.func if isinstance(node, ast.Call) else node)
        if names and names[0] in self.guards:
            return "guard"
        return "no_type_check" if names and names[-1] == "no_type_check" else ""

    def decorate(self, node: _Function | ast.ClassDef) -> bool:
        """Add the decorator that a definition needs; whether it needs one."""
        if isinstance(node, ast.ClassDef):
            if not _may_get_init(node):
                return False
            # Outermost, where `dataclass` has done its work.
            line = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            fields = [part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]
            guard_init = defined.guard_init if any(map(self.shows_array, fields)) else defined.guard_init_if_array
            node.decorator_list.insert(0, _decorator(guard_init, node, line))
            return True
        annotations = [annotation for annotation in _annotations(node) if _may_mention_array(annotation)]
        if not annotations or _is_stub(node):
            return False
        guard_function = defined.guard_array if any(map(self.shows_array, annotations)) else defined.guard_if_array
        # Innermost: other decorators may hide the annotations, or hand the function on.
        node.decorator_list.append(_decorator(guard_function, node, node.lineno))
        return True

    def shows_array(self, expression: ast.expr | None) -> bool:
        """Whether a jaxtyping annotation, or the name of one, stands in an annotation or in what may be an alias."""
        if not isinstance(expression, ast.Subscript | ast.BinOp | ast.Name | ast.Attribute | ast.Constant):
            return False
        for node in ast.walk(expression):
            match node:
                case ast.Subscript(value=value) if (names := _dotted(value)) and names[-1] in self.dtypes:
                    return True
                case ast.Name(id=name) if name in self.aliases:
                    return True
                case ast.Constant(value=str(text)) if text in self.aliases or self.shows_array(_parsed(text)):
                    return True
        return False


def _sources(statement: ast.stmt) -> dict[str, tuple[str, str]]:
    """The names that an import binds, each with the module and the attribute behind it."""
    match statement:
        case ast.Import(names=aliases):
            roots = [(alias.name.partition(".")[0], alias) for alias in aliases]
            return {alias.asname or root: (alias.name if alias.asname else root, "") for root, alias in roots}
        case ast.ImportFrom(names=aliases, module=module, level=level):
            return {alias.asname or alias.name: ("." * level + (module or ""), alias.name) for alias in aliases}
    return {}


def _dotted(node: ast.expr) -> list[str]:
    """The parts of a dotted name; nothing for any other expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _parsed(text: str) -> ast.expr | None:
    """The subscript that stands in quotes, if one does; Python would warn of a backslash."""
    if "[" not in text or "\\" in text:
        return None
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _annotations(function: _Function) -> list[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [argument.annotation for argument in every if argument is not None]
    return [annotation for annotation in (*annotations, function.returns) if annotation is not None]


def _may_mention_array(annotation: ast.expr) -> bool:
    """Whether there is more in an annotation than the names of built-in types."""
    return any(
        not hasattr(builtins, node.id) if isinstance(node, ast.Name) else isinstance(getattr(node, "value", None), str)
        for node in ast.walk(annotation)
    )


def _is_stub(function: _Function) -> bool:
    """Whether there is nothing in the body, as in an overload, a protocol or an abstract method."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in function.body
    )


def _may_get_init(cls: ast.ClassDef) -> bool:
    """Whether a decorator or a base may write the `__init__`."""
    has_own = any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in cls.body)
    return not has_own and bool(cls.decorator_list or cls.bases or cls.keywords)


def _decorator(function: Callable[..., Any], node: _Function | ast.ClassDef, line: int) -> ast.expr:
    place = {"lineno": line, "end_lineno": line, "col_offset": node.col_offset, "end_col_offset": node.col_offset + 1}
    return ast.Attribute(ast.Name(HOOK, ast.Load(), **place), function.__name__, ast.Load(), **place)


def _insert_imports(tree: ast.Module, names: _NamesOfModule) -> None:
    """Add the names that the decorators need, after the docstring and what must come first."""
    first = 0
    for first, statement in enumerate(tree.body):
        is_docstring = first == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_docstring and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            break
    home, _, name = defined.__name__.rpartition(".")
    added = ast.parse(f"from {home} import {name} as {HOOK}\n{defined.LATE} = {names.late!r}\n").body
    for statement in added:
        for node in ast.walk(statement):
            if isinstance(node, ast.stmt | ast.expr | ast.alias):
                node.lineno = node.end_lineno = tree.body[first].lineno
                node.col_offset = node.end_col_offset = 0
    tree.body[first:first] = added
