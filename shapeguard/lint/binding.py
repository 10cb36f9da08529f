"""Which assignment a name has its value from, as far as the order of the statements tells."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from shapeguard.lint.order import PERHAPS, SURE, always_runs, order, repeats

if TYPE_CHECKING:
    from shapeguard.lint.reading import Reading

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_ENDS_A_SEARCH = frozenset({*_SCOPES, ast.Module})
BINDERS: frozenset[type[ast.AST]] = frozenset(
    {
        *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.Delete, ast.For, ast.AsyncFor, ast.withitem),
        *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
        *(
            ast.FunctionDef,
            ast.AsyncFunctionDef,
            ast.ClassDef,
            ast.Import,
            ast.ImportFrom,
            ast.arg,
            ast.Global,
            ast.Nonlocal,
        ),
    }
)
"""The nodes that may bind names."""


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


def scopes_of(binders: Iterable[ast.AST], parents: Mapping[ast.AST, ast.AST]) -> dict[ast.AST, list[ast.AST]]:
    """Scope -> those of these nodes that bind names in it."""
    found: dict[ast.AST, list[ast.AST]] = {}
    for node in binders:
        around = parents[node]
        while around.__class__ not in _ENDS_A_SEARCH:
            around = parents[around]
        found.setdefault(around, []).append(node)
    return found


def bindings_by(binders: Iterable[ast.AST]) -> dict[str, list[Binding]]:
    """Name -> how these nodes bind it."""
    found: dict[str, list[Binding]] = {}
    for node in binders:
        for name, binding in _bound_by(node):
            found.setdefault(name, []).append(binding)
    return found


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
        case ast.arg(arg=name) | ast.MatchMapping(rest=str(name)):
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
    scope = _first_scope(file, name)
    found = [] if scope is None else file.bindings(scope, name.id)
    if scope is None or not found:
        return None if scope is None else _from_outside(file, scope, name.id)
    if _is_rebound_from_elsewhere(file, scope, name.id, found):
        return None
    found = [each for each in found if not _gives_nothing(each)]
    file.spend(len(found))
    path = _path(file, name, scope)
    if any(_runs_later(around, file) for around, _ in path):
        return _only(found)
    return _nearest(file, path, found)


def bindings_seen(file: Reading, name: ast.Name) -> list[Binding]:
    """All bindings of a name in the scope that its value is from."""
    scope = _first_scope(file, name)
    found = [] if scope is None else file.bindings(scope, name.id)
    while scope is not None and not found:
        scope = _scope(file, scope, name.id)
        found = [] if scope is None or isinstance(scope, ast.ClassDef) else file.bindings(scope, name.id)
    return [each for each in found if not _gives_nothing(each)]


def _first_scope(file: Reading, name: ast.Name) -> ast.AST | None:
    scope = _scope(file, name, name.id)
    if isinstance(scope, ast.ClassDef) and not file.bindings(scope, name.id):
        while isinstance(scope, ast.ClassDef):  # its body runs where it stands, but sees no other class's names
            scope = _scope(file, scope, name.id)
    return scope


def _scope(file: Reading, node: ast.AST, name: str) -> ast.AST | None:
    """The function, class or module in which a name is looked up first; None where it is a comprehension's own."""
    inner, here, sees_class = node, node, True
    for around in file.around(node):
        match around:
            case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.ClassDef(body=body):
                # Its decorators, defaults, annotations and bases are outside.
                if here in body and (sees_class or not isinstance(around, ast.ClassDef)):
                    return around
            case ast.Lambda(body=result):
                if here is result:
                    return around
            case ast.Module():
                return around
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                first = around.generators[0]
                if not (here is first and inner is first.iter):  # that one runs outside
                    sees_class = False
                    targets = (each for part in around.generators for each in ast.walk(part.target))
                    if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                        return None
        inner, here = here, around
    return None


def _is_rebound_from_elsewhere(file: Reading, scope: ast.AST, name: str, found: list[Binding]) -> bool:
    """Whether other functions may bind a name of this scope, or this one a name of theirs."""
    if any(isinstance(each.statement, ast.Global | ast.Nonlocal) for each in found):
        return True
    kinds = file.all(ast.Global) if isinstance(scope, ast.Module) else file.all(ast.Nonlocal)
    return any(name in each.names for each in kinds)


def _from_outside(file: Reading, scope: ast.AST, name: str) -> Binding | None:
    """The binding in a scope around, where there is only one."""
    outer = _scope(file, scope, name)
    while outer is not None:
        found = [] if isinstance(outer, ast.ClassDef) else file.bindings(outer, name)
        if found:
            found = [each for each in found if not _gives_nothing(each)]
            return None if _is_rebound_from_elsewhere(file, outer, name, found) else _only(found)
        outer = _scope(file, outer, name)
    return None


def _gives_nothing(binding: Binding) -> bool:
    return isinstance(binding.statement, ast.AnnAssign) and binding.value is None


def _only(found: list[Binding]) -> Binding | None:
    return found[0] if len(found) == 1 else None


Step: TypeAlias = tuple[ast.AST, ast.AST]
"""A node, and the part of it in which a name stands."""


def _path(file: Reading, name: ast.Name, scope: ast.AST) -> list[Step]:
    """The way from a name out to its scope."""
    path: list[Step] = []
    here: ast.AST = name
    for around in file.around(name):
        path.append((around, here))
        if around is scope:
            break
        here = around
    return path


def _runs_later(around: ast.AST, file: Reading) -> bool:
    """Whether what stands in it may run when other statements have: a generator that isn't handed on at once."""
    return isinstance(around, ast.GeneratorExp) and not isinstance(file.parent(around), ast.Call)


def _nearest(file: Reading, path: list[Step], found: list[Binding]) -> Binding | None:
    """The last binding before a name, if it is sure that there is none between."""
    levels = {around: level for level, (around, _) in enumerate(path)}
    meeting: dict[int, list[tuple[Binding, ast.AST]]] = {}
    for binding in found:
        part = outer = binding.statement
        while outer not in levels:
            part, outer = outer, file.parent(outer) or path[-1][0]
        meeting.setdefault(levels[outer], []).append((binding, part))
    inside = False
    for level, (around, here) in enumerate(path):
        places = file.places(around)
        met = [(binding, part, order(around, here, part, places)) for binding, part in meeting.get(level, ())]
        before = [(binding, part) for binding, part, when in met if when == SURE]
        if before:
            binding, part = before[-1]
            twice = isinstance(binding.statement, ast.NamedExpr) and any(part is each for _, each in before[:-1])
            return binding if not twice and _is_sure(binding, around, file) else None
        inside = inside or bool(met)
        if any(when == PERHAPS for *_, when in met) or (inside and repeats(around, here, places)):
            return None
    return None


def _is_sure(binding: Binding, around: ast.AST, file: Reading) -> bool:
    """Whether control surely passes through a binding in a part of `around` that it passes through."""
    inner = binding.statement
    if inner is around:
        return True
    if isinstance(inner, ast.Delete | ast.For | ast.AsyncFor):  # a loop may have no pass
        return False
    outer = file.parent(inner)
    while outer is not None and outer is not around:
        if not always_runs(outer, inner, file.places(outer)):
            return False
        inner, outer = outer, file.parent(outer)
    return True
