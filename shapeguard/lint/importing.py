"""What the imports of a file make of a name, where it stands."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from shapeguard.lint.binding import Binding, bindings_seen

if TYPE_CHECKING:
    from shapeguard.lint.reading import Reading


def imported_names(file: Reading) -> dict[str, set[str]]:
    """Name -> what imports anywhere in the file bind it to, without those from the package's own folders."""
    found: dict[str, set[str]] = {}
    statements: list[ast.Import | ast.ImportFrom] = [*file.all(ast.Import), *file.all(ast.ImportFrom)]
    for statement in statements:
        for alias in statement.names:
            meaning = _meaning(statement, alias)
            if meaning is not None:
                found.setdefault(_name(statement, alias), set()).add(meaning)
    return found


def bound_otherwise(file: Reading) -> set[str]:
    """The names that something else than such an import binds, in whatever scope."""
    names = {each.id for each in file.all(ast.Name) if not isinstance(each.ctx, ast.Load)}
    names.update(each.arg for each in file.all(ast.arg))
    names.update(each.name for each in file.all(ast.FunctionDef))
    names.update(each.name for each in file.all(ast.AsyncFunctionDef))
    names.update(each.name for each in file.all(ast.ClassDef))
    names.update(_name(each, alias) for each in file.all(ast.ImportFrom) if each.level for alias in each.names)
    return names


def imported_here(file: Reading, name: ast.Name) -> str | None:
    """What an import binds a name to where it stands; None where that may be something else."""
    meanings: set[str | None] = set()
    for binding in bindings_seen(file, name):
        if not isinstance(binding.value, ast.Constant):  # `F = None`, where the import has failed
            meanings.add(_bound_to(binding, name.id))
    if len(meanings) == 1:
        return meanings.pop()
    sure = file.definition(name) if meanings else None
    return None if sure is None else _bound_to(sure, name.id)


def _bound_to(binding: Binding, name: str) -> str | None:
    statement = binding.statement
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    return next((_meaning(statement, alias) for alias in statement.names if _name(statement, alias) == name), None)


def _name(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    whole = isinstance(statement, ast.ImportFrom) or alias.asname is not None
    return (alias.asname or alias.name) if whole else alias.name.partition(".")[0]


def _meaning(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str | None:
    if isinstance(statement, ast.ImportFrom):
        return f"{statement.module}.{alias.name}" if statement.module and not statement.level else None
    return alias.name if alias.asname else alias.name.partition(".")[0]
