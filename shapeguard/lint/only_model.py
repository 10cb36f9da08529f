"""Which functions of the file a call runs, where a model that is handed in is taken for the only one that there is."""

from __future__ import annotations

import ast
import re

from shapeguard.lint.making import class_named, functions_called, is_overridden, method_of, unmoved
from shapeguard.lint.reading import Reading

_MODEL = re.compile(
    r"(^|_)(model|net|network|policy|critic|actor|classifier|encoder|decoder|discriminator|target|online|frozen|teacher|student)$"
)


def called(file: Reading, call: ast.Call) -> list[ast.FunctionDef]:
    """The functions of the file that a call may run; a model of unknown make is taken for the only one that there is."""
    found = list(functions_called(file, call))
    func = unmoved(call.func)
    if found or not isinstance(func, ast.Name) or file.full_name(func) is not None:
        return found
    binding = file.definition(func)
    if binding is None or not isinstance(binding.statement, ast.arg):
        return found
    if binding.statement.annotation is not None:
        return _annotated(file, binding.statement.annotation)
    here = file.class_of(call)
    forwards = [each for each in file.all(ast.FunctionDef) if each.name == "forward"]
    if len(forwards) > 1:
        forwards = [each for each in forwards if file.class_of(each) is not here]
    name = func.id.lower()
    if len(forwards) > 1:
        forwards = _fitting(file, name, forwards, len(call.args))
    owner = file.class_of(forwards[0]) if len(forwards) == 1 else None
    if owner is None or any(each.id == owner.name for each in file.all(ast.Name)):
        return found
    is_named = bool(_MODEL.search(name)) or name in owner.name.lower()
    return forwards if is_named and len(call.args) == len(forwards[0].args.args) - 1 else found


def _fitting(file: Reading, name: str, forwards: list[ast.FunctionDef], count: int) -> list[ast.FunctionDef]:
    """Those that take so many values; of these the ones whose class is called like the model, if there are any."""
    found = [each for each in forwards if len(each.args.args) - 1 == count]
    owners = [file.class_of(each) for each in found]
    named = [
        each for each, owner in zip(found, owners, strict=True) if owner is not None and name in owner.name.lower()
    ]
    return named or found


def _annotated(file: Reading, annotation: ast.expr) -> list[ast.FunctionDef]:
    """The `forward` of the class of the file that a parameter is declared to be of."""
    kind = class_named(file, annotation)
    forward = None if kind is None else method_of(file, kind, "forward")
    return [] if kind is None or forward is None or is_overridden(file, kind, "forward") else [forward]
