"""The changes that take a softmax or a sigmoid away from what a loss is given, or put its logarithm there."""

from __future__ import annotations

import ast

from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Change, Replacement
from shapeguard.lint.squashing import Squashed


def without(file: Reading, given: ast.expr, last: Squashed) -> tuple[Change, ...]:
    """The change after which a loss is given what goes into its last step; none where others see that step too."""
    step, inner = last.step, _inner(file, last.step)
    if last.through is not None or inner is None:
        return ()
    if _is_for_this_alone(file, given, step):
        return (Replacement(step, "{}", (inner,)),)
    binding = file.definition(given) if isinstance(given, ast.Name) else None
    if binding is None or binding.value is not step or not isinstance(inner, ast.Name):
        return ()
    made = file.statement(step).lineno
    bound = file.bindings(file.scope(step), inner.id)
    still = all(getattr(each.statement, "lineno", 0) < made for each in bound) and made < given.lineno
    return (Replacement(given, inner.id),) if bound and still else ()


def logarithm(file: Reading, given: ast.expr, last: Squashed) -> tuple[Change, ...]:
    """The change of `softmax` to `log_softmax`; none where others see it too, or where it has another name."""
    func = last.step.func
    if not isinstance(func, ast.Attribute) or func.attr != "softmax" or last.through is not None:
        return ()
    if isinstance(func.value, ast.Name) and func.value.id == "self":
        return ()
    if not _is_for_this_alone(file, given, last.step):
        return ()
    return (Replacement(func, "{}.log_softmax", (func.value,)),)


def _inner(file: Reading, step: ast.Call) -> ast.expr | None:
    """What a step is made of: `x` of `F.softmax(x, dim=1)`, `x.softmax(1)` and `self.softmax(x)`."""
    func = step.func
    is_method = isinstance(func, ast.Attribute) and file.full_name(func) is None
    if is_method and isinstance(func, ast.Attribute) and last_name(func.value) != "self":
        return func.value
    return step.args[0] if step.args and not isinstance(step.args[0], ast.Starred) else None


def _is_for_this_alone(file: Reading, given: ast.expr, step: ast.Call) -> bool:
    """Whether a step stands in the argument itself, or in the one assignment to a name that only this argument reads."""
    if any(each is step for each in ast.walk(given)):
        return True
    binding = file.definition(given) if isinstance(given, ast.Name) else None
    if binding is None or binding.value is not step or not isinstance(binding.target, ast.Name):
        return False
    return _reads(file, binding.target) == [given]


def _reads(file: Reading, target: ast.Name) -> list[ast.Name]:
    """Every place that may read the value of a name, in functions inside too."""
    return [
        each
        for each in file.all(ast.Name)
        if each.id == target.id and isinstance(each.ctx, ast.Load) and file.is_in(each, file.scope(target))
    ]
