"""Parameters that are called probabilities, and what the functions of a file are given for them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.reading import Reading, argument

_NAMES = re.compile(r"^(?!.*(log|un|raw|pre))(\w+_)?prob(s|a|as|ability|abilities)?$")
_TURNS = re.compile(r"softmax|sigmoid|expit|logit|logsumexp|normaliz|cross_entropy|Categorical|\.exp\(", re.IGNORECASE)
"""What makes probabilities of scores, or takes scores."""


def probabilities(function: ast.FunctionDef) -> Iterator[ast.arg]:
    """The parameters of a function that are called so, and may be tensors."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    for each in plain[: len(plain) - len(given.defaults)]:
        stated = "" if each.annotation is None else ast.unparse(each.annotation)
        if _NAMES.match(each.arg) and stated not in {"float", "int", "bool", "str"}:
            yield each


def handed(function: ast.FunctionDef, call: ast.Call) -> Iterator[tuple[ast.arg, ast.expr]]:
    """The parameters that are called probabilities, with what a call gives for them."""
    plain = [*function.args.posonlyargs, *function.args.args]
    less = bool(plain) and plain[0].arg in {"self", "cls"}
    for each in probabilities(function):
        value = argument(call, plain.index(each) - less, each.arg)
        if value is not None:
            yield each, value


def is_squashed_inside(file: Reading, function: ast.FunctionDef, parameter: ast.arg) -> bool:
    """Whether a function may make probabilities of a parameter itself, or speaks of logits."""
    text = file.source.segment(function)
    return _TURNS.search(text) is not None or len(file.bindings(function, parameter.arg)) > 1
