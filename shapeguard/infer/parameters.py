"""What a function's parameters are before anything is passed: by annotation, by words, by convention."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shapeguard.infer import conventions, remarks
from shapeguard.infer.claims import Resolve, annotated, parameter_value, says_shape, with_defaults
from shapeguard.infer.files import File
from shapeguard.infer.values import Function, Maybe, Scope, Symbol, certain
from shapeguard.ops.values import UNKNOWN, Tensor
from shapeguard.shapes.shape import Shape


@dataclass
class Parameters:
    """The values of parameters, and what they stand on."""

    values: Scope = field(default_factory=dict)
    claims: bool = False
    """Whether an annotation gives the shape of one."""
    guesses: bool = False
    """Whether words or convention give the shape of one."""


def parameters_of(function: Function, home: File, resolve: Resolve, *, guessing: bool) -> Parameters:
    """What each parameter that takes one argument is."""
    node = function.node
    pairs = with_defaults(node.args)
    names = [argument.arg for argument, _ in pairs]
    found = Parameters()
    # What words say of a parameter is copied from function to function: it is no ground for a finding.
    stated: Mapping[str, Shape] = {}
    ranks: Mapping[str, int] = {}
    if guessing and not isinstance(node, ast.Lambda):
        stated, ranks = remarks.of_parameters(home, node), conventions.unpacked_ranks(node)
    for argument, default in pairs:
        name = argument.arg
        value = parameter_value(argument, default, resolve)
        found.claims = found.claims or annotated(argument.annotation, resolve)[1] is not None
        if guessing and not says_shape(value):
            words = None if name == "labels" else stated.get(name)
            if words is not None and ranks.get(name, words.rank) != words.rank:
                words = Shape.of(*(None,) * ranks[name])
            likely = _stated(value, words, conventions.dtype_of(name))
            if not says_shape(likely):
                guess = conventions.guess(name, names, function.qualified_name)
                likely = _guessed(likely, guess, default, ranks.get(name))
            found.guesses = found.guesses or likely is not value
            value = likely
        found.values[name] = value
    return found


def _stated(value: Any, shape: Shape | None, dtype: str | None) -> Any:
    """A parameter's value with the shape that is written of it in words."""
    inner = certain(value)
    if shape is None or not (isinstance(inner, Tensor | Symbol) or inner is UNKNOWN):
        return value
    known = inner.dtype if isinstance(inner, Tensor) else None
    tensor = Tensor(shape, known or dtype)
    return Maybe(tensor) if isinstance(value, Maybe) else tensor


def _guessed(value: Any, guess: Tensor | None, default: ast.expr | None, rank: int | None) -> Any:
    """A parameter's value with what convention says of it, unless it is unpacked into another number of sizes."""
    inner = certain(value)
    if guess is None or not (isinstance(inner, Tensor | Symbol) or inner is UNKNOWN):
        return value
    if rank is not None and rank != guess.shape.rank:
        return value
    is_none = isinstance(default, ast.Constant) and default.value is None
    return Maybe(guess) if is_none or isinstance(value, Maybe) else guess
