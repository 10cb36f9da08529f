"""Which assignment a name has its value from, as far as the order of the statements tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shapeguard.lint.reading import Reading

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One place that gives a name a value."""

    target: ast.AST
    """The name, or the statement that binds it in another way: an import, a `def`, an `except`."""
    statement: ast.AST
    value: ast.expr | None
    """What is assigned; None where that is no expression: a loop's variable, `x += 1`, a function's parameter."""
    index: int | None = None
    """Its place, where the value is taken apart into several names."""
    count: int = 0
    """Their number."""


def bindings_in(scope: ast.AST) -> dict[str, list[Binding]]:
    """Every binding of every name in one scope, in the order of the source, without those of scopes inside it."""
    found: dict[str, list[Binding]] = {}
    for name, binding in _bindings(scope):
        found.setdefault(name, []).append(binding)
    return found


def _bindings(scope: ast.AST) -> Iterator[tuple[str, Binding]]:
    waiting = list(reversed(list(ast.iter_child_nodes(scope))))
    while waiting:
        node = waiting.pop()
        yield from _bound_by(node)
        if isinstance(node, _SCOPES):
            continue
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, _COMPREHENSIONS):
            children = [each for each in children if not isinstance(each, ast.comprehension)]
        waiting += reversed(children)


def _bound_by(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, node, value)
        case ast.AnnAssign(target=target, value=value):
            yield from _targets(target, node, value)
        case ast.NamedExpr(target=target, value=value):
            yield from _targets(target, node, value)
        case _:
            yield from _bound_without_value(node)


def _bound_without_value(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    match node:
        case ast.AugAssign(target=target) | ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _targets(target, node, None)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from _targets(target, node, None)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, Binding(node, node, None)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, Binding(node, node, None)
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            for alias in names:
                yield alias.asname or alias.name.partition(".")[0], Binding(node, node, None)
        case ast.arg(arg=name):
            yield name, Binding(node, node, None)
        case ast.Delete(targets=targets):
            for target in targets:
                yield from _targets(target, node, None)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            for name in names:
                yield name, Binding(node, node, None)


def _targets(target: ast.expr, statement: ast.AST, value: ast.expr | None) -> Iterator[tuple[str, Binding]]:
    match target:
        case ast.Name(id=name):
            yield name, Binding(target, statement, value)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            given = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            plain = len(given) == len(parts) and not any(isinstance(each, ast.Starred) for each in (*given, *parts))
            starred = any(isinstance(each, ast.Starred) for each in parts)
            for index, part in enumerate(parts):
                if plain:
                    yield from _targets(part, statement, given[index])
                elif isinstance(part, ast.Name) and not starred and value is not None:
                    yield part.id, Binding(part, statement, value, index, len(parts))
                else:
                    yield from _targets(part.value if isinstance(part, ast.Starred) else part, statement, None)


def definition(file: Reading, name: ast.Name) -> Binding | None:
    """The binding that a name surely has its value from where it stands."""
    scope = file.scope(name)
    found = file.bindings(scope, name.id)
    if not found:
        return _from_outside(file, name, scope)
    if any(isinstance(each.statement, ast.Global | ast.Nonlocal) for each in found):
        return None
    here: ast.AST = name
    for around in file.around(name):
        for binding in reversed(_before(around, here, found, file)):
            return binding if _is_sure(binding, around, file) else None
        if isinstance(around, _LOOPS) and any(_is_inside(each.statement, around, file) for each in found):
            return None  # a later pass sees what an earlier one bound
        if around is scope:
            break
        here = around
    return None


def _before(around: ast.AST, here: ast.AST, found: list[Binding], file: Reading) -> list[Binding]:
    """The bindings in the parts of `around` that come before the part in which the name stands."""
    block = next((each for each in _blocks(around) if here in each), None)
    if block is None:
        if isinstance(around, _SCOPES) and not isinstance(here, ast.arg):
            return [each for each in found if isinstance(each.target, ast.arg)]
        return []
    earlier = block[: block.index(here)]
    if isinstance(around, ast.For | ast.AsyncFor) and block is around.body:
        head = [each for each in found if each.statement is around]
    elif isinstance(around, ast.With | ast.AsyncWith):
        head = [each for each in found if each.statement in around.items]
    elif isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
        head = [each for each in found if isinstance(each.target, ast.arg)]
    else:
        head = []
    return head + [each for each in found if any(_is_inside(each.statement, one, file) for one in earlier)]


def _is_sure(binding: Binding, around: ast.AST, file: Reading) -> bool:
    """Whether control surely passes through a binding that stands before, in a block of `around`."""
    if isinstance(binding.statement, ast.arg):
        return True
    inner = file.parent(binding.statement)
    while inner is not None and inner is not around:
        if not isinstance(inner, ast.With | ast.AsyncWith | ast.withitem | ast.Expr | ast.Assign | ast.expr):
            return False
        inner = file.parent(inner)
    return True


def _blocks(node: ast.AST) -> Iterator[list[ast.AST]]:
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        block = getattr(node, field, None)
        if isinstance(block, list):
            yield block


def _is_inside(node: ast.AST, outer: ast.AST, file: Reading) -> bool:
    return node is outer or any(each is outer for each in file.around(node))


def _from_outside(file: Reading, name: ast.Name, scope: ast.AST) -> Binding | None:
    """The binding in a scope around, where there is only one."""
    for around in file.around(scope):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module):
            found = file.bindings(around, name.id)
            if found:
                return found[0] if len(found) == 1 else None
    return None
