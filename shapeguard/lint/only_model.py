"""Which functions of the file a call runs, where a model that is handed in is taken for the only one that there is."""

from __future__ import annotations

import ast
import re

from shapeguard.lint.making import functions_called
from shapeguard.lint.reading import Reading

_MODEL = re.compile(r"(^|_)(model|net|network|policy|critic|actor|classifier|encoder|decoder|discriminator)$")


def called(file: Reading, call: ast.Call) -> list[ast.FunctionDef]:
    """The functions of the file that a call may run; a model of unknown make is taken for the only one that there is."""
    found = list(functions_called(file, call))
    if found or not isinstance(call.func, ast.Name) or file.full_name(call.func) is not None:
        return found
    binding = file.definition(call.func)
    if binding is None or not isinstance(binding.statement, ast.arg) or binding.statement.annotation is not None:
        return found
    forwards = [each for each in file.all(ast.FunctionDef) if each.name == "forward"]
    owner = file.class_of(forwards[0]) if len(forwards) == 1 else None
    if owner is None or any(each.id == owner.name for each in file.all(ast.Name)):
        return found
    name = call.func.id.lower()
    is_named = bool(_MODEL.search(name)) or name in owner.name.lower()
    return forwards if is_named and len(call.args) == len(forwards[0].args.args) - 1 else found
